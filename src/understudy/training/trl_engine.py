"""The engine behind TRL's trainer: whatever TRL samples with, a vLLM in the trainer's process included.

TRL samples a list of prompts in one call and returns when the longest is done, so this engine goes batch by batch: no
rollout waits for a slow tool of another, but a turn waits for the turns of its batch and of the one before. TRL
samples with random numbers of its own, so a rollout can't be repeated from its seed. With a vLLM over several devices
or behind a server, such a call is one that all processes make together, as rollouts don't; those are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from understudy.errors import InputError, ModelError
from understudy.training.batching import BatchEngine, BatchSlot
from understudy.training.engine import Completion


class TrlEngine(BatchEngine):
    """See the module.

    Args:
        trainer: TRL's GRPO trainer.
        stop_id: the token that ends a turn.
        rows: turns sampled at once.

    Raises:
        InputError: several processes would have to sample together.
    """

    def __init__(self, trainer: Any, stop_id: int, rows: int = 64) -> None:
        super().__init__(stop_id, rows)
        together = trainer.use_vllm and (trainer.vllm_mode == "server" or trainer.vllm_tensor_parallel_size > 1)
        if together and trainer.accelerator.num_processes > 1:
            raise InputError('engine = "trl": in several processes, vLLM must be colocated, one device to a process')
        self._trainer = trainer

    @property
    def context(self) -> int:
        """Tokens that a slot can hold."""
        model: int = self._trainer.accelerator.unwrap_model(self._trainer.model).config.max_position_embeddings
        return min(model, self._trainer.args.vllm_max_model_length or model) if self._trainer.use_vllm else model

    def _sample(self, batch: Sequence[BatchSlot]) -> list[Completion]:
        sampled: dict[BatchSlot, Completion] = {}
        for temperature in {slot.temperature for slot in batch}:  # a call of TRL's has one
            alike = [slot for slot in batch if slot.temperature == temperature]
            sampled.update(zip(alike, self._sample_alike(alike, temperature), strict=True))
        return [sampled[slot] for slot in batch]

    def _sample_alike(self, batch: Sequence[BatchSlot], temperature: float) -> list[Completion]:
        trainer, model = self._trainer, self._trainer.model
        longest, training = max(len(slot.uniform) for slot in batch), model.training
        model.eval()
        try:
            with _changed(self._settings(temperature, longest)), torch.no_grad():
                ids, logprobs = trainer._generate_single_turn([slot.ids for slot in batch], None, {}, 1)
                logprobs = logprobs or self._logprobs(batch, ids)
        finally:
            model.train(training)
        completions = [self._cut(*row) for row in zip(batch, ids, logprobs, strict=True)]
        for one in completions:
            if not one.ids or len(one.ids) != len(one.logprobs) or None in one.logprobs:
                raise ModelError("TRL's backend gave no tokens, or tokens without log-probabilities")
        return completions

    def _settings(self, temperature: float, max_tokens: int) -> list[tuple[Any, str, Any]]:
        """What TRL keeps for a whole run and this engine sets for a call: object, attribute, value."""
        trainer = self._trainer
        common = [(trainer, "temperature", temperature or 1.0), (trainer, "eos_token_ids", [self._stop])]
        if trainer.use_vllm:
            vllm = trainer.vllm_generation
            stops = {**vllm.generation_kwargs, "stop_token_ids": [self._stop], "ignore_eos": True}
            return [
                *common,
                (vllm, "temperature", temperature),
                (vllm, "max_completion_length", max_tokens),
                (vllm, "generation_kwargs", stops),
            ]
        config = trainer.generation_config
        return [
            *common,
            (config, "temperature", temperature or 1.0),
            (config, "do_sample", temperature > 0),
            (config, "max_new_tokens", max_tokens),
            (config, "eos_token_id", [self._stop]),
        ]

    def _logprobs(self, batch: Sequence[BatchSlot], completions: Sequence[list[int]]) -> list[list[float]]:
        """Log-probabilities of sampled tokens under the trainer's model, for backends that tell none."""
        prompt, completion = max(len(slot.ids) for slot in batch), max(map(len, completions))
        ids = torch.full((len(batch), prompt + completion), self._stop)
        attention = torch.zeros_like(ids)
        for row, (slot, sampled) in enumerate(zip(batch, completions, strict=True)):
            inside = slice(prompt - len(slot.ids), prompt + len(sampled))
            ids[row, inside] = torch.tensor(slot.ids + sampled)
            attention[row, inside] = 1
        device = self._trainer.accelerator.device
        logprobs, _, _ = self._trainer._get_per_token_logps_and_entropies(
            self._trainer.model, ids.to(device), attention.to(device), completion
        )
        return [row[: len(sampled)] for row, sampled in zip(logprobs.tolist(), completions, strict=True)]


@contextmanager
def _changed(settings: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """Attributes set for a while."""
    with ExitStack() as before:
        for thing, name, value in settings:
            before.callback(setattr, thing, name, getattr(thing, name))
            setattr(thing, name, value)
        yield
