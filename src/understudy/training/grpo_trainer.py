"""TRL's GRPO trainer, fed by our rollouts.

TRL marks ``rollout_func`` as experimental, so what we rely on is kept here, thin, and tested: rows are kept by
overriding ``_generate_and_score_completions``; the sampler's log-probabilities stand for the old policy's, which spares
a forward pass and is exact, as tokens are trained on just as they were sampled; padding and rows that can't
change the gradient are left out of the forward pass.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn import functional as F  # noqa: N812 (the customary name)
from trl import GRPOTrainer

from understudy.agents.judge import Judge
from understudy.protocols import ToolSource
from understudy.tools.faults import FaultRates, FaultyTools, InjectedFault
from understudy.training.checkpoints import WholeCheckpoints
from understudy.training.policy import ModelPolicy
from understudy.training.refill import refill, spares
from understudy.training.rollouts import Batch, TaskSet, batch_sums, collect, means, shuffled, trainer_fields
from understudy.training.settings import GrpoConfig

_TOGETHER = 4096
"""Tokens computed together on a CPU, where larger batches gain nothing."""

_SUMMED_LOSSES = ("dapo", "cispo")
"""Losses that are a sum over tokens divided by the batch's count: a row of advantage 0 adds nothing to them."""


def given_reward(reward: Sequence[float | None], **_: Any) -> Sequence[float | None]:
    """The reward that came with the rollout."""
    return reward


class RolloutTrainer(WholeCheckpoints, GRPOTrainer):  # type: ignore[misc]
    """See the module. ``connect`` must be called before training."""

    def connect(
        self, policy: ModelPolicy, given: TaskSet, tools: ToolSource, config: GrpoConfig, judge: Judge | None = None
    ) -> None:
        """Say what to roll out on, how, and who judges."""
        self._policy, self._given, self._config, self._judge = policy, given, config, judge
        self._faulty = FaultyTools(tools, FaultRates(), config.seed) if config.faults else None
        self._tools = self._faulty or tools
        # One loop for the whole run: clients of remote simulators keep their connections.
        self.runner = asyncio.Runner()
        self.batch: Batch | None = None
        self._measured: dict[str, tuple[float, int]] = {}
        self._sampled: torch.Tensor | None = None
        self._learnt: torch.Tensor | None = None  # which tokens of a minibatch are scored: all but observations
        self._fresh = False
        self._ended = time.perf_counter()

    @property
    def window(self) -> int:
        """Optimiser steps between two batches of rollouts."""
        steps: int = self.args.steps_per_generation * self.num_iterations // self.args.gradient_accumulation_steps
        return steps

    @property
    def rolled(self) -> int:
        """Batches of rollouts that are trained on; while one is being rolled out, its number from 0."""
        batches: int = self.state.global_step // self.window
        return batches

    def refresh_sampler(self) -> None:
        """Give a vLLM that samples for us today's weights. Every process calls it, while no rollout is open."""
        step: int = self.state.global_step
        if self.use_vllm and self._last_loaded_step != step:
            self.vllm_generation.sync_weights()
            self._last_loaded_step: int = step
            self.accelerator.wait_for_everyone()  # the main process sends, and others would sample meanwhile

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        spent = time.perf_counter() - self._ended
        self._rows = inputs
        self.refresh_sampler()
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        for name, value in means(gather_object([self._measured])).items():
            self._metrics["train"][name].append(value)
        if self.state.global_step:
            self._metrics["train"]["seconds/update"].append(spent)
        self._sampled, self._fresh, self._ended = None, True, time.perf_counter()
        return output

    @staticmethod
    def roll_out(prompts: Sequence[str], trainer: RolloutTrainer) -> dict[str, list[Any]]:
        """TRL's ``rollout_func``. Rows arrive repeated, the rollouts of a group side by side."""
        first, config = trainer.accelerator.process_index * len(prompts), trainer._config
        names = [(row["task_id"], (first + at) % config.generations) for at, row in enumerate(trainer._rows)]
        seed = f"{config.seed}/{trainer.rolled}"
        if trainer._faulty and config.faults:
            trainer._faulty.rates = config.faults.at(trainer.rolled / max(1, config.steps - 1))
            trainer._faulty.hits.clear()
        trainer.batch = trainer.runner.run(trainer._collect(names, seed))
        fields = trainer_fields(trainer.batch, trainer._policy.renderer.end_id)
        if config.shuffle_rewards:
            # The processes' rewards together, as a group may be spread over several of them.
            dealt = shuffled(gather_object(fields["reward"]), config.generations, seed)
            fields["reward"] = dealt[first : first + len(prompts)]
        longest = max(map(len, fields["logprobs"]))
        trainer._sampled = torch.tensor([row + [0.0] * (longest - len(row)) for row in fields["logprobs"]])
        return fields

    async def _collect(self, names: Sequence[tuple[str, int]], seed: str) -> Batch:
        """A batch of rollouts, refilled if asked. Metrics are of the batch as drawn: only that one is no selection."""

        async def roll(names: Sequence[tuple[str, int]]) -> Batch:
            return await collect(
                names, self._given, self._policy, self._tools, self._config.limits, self._config.weights, seed,
                self._judge,
            )  # fmt: skip

        drawn = batch = await roll(names)
        self._measured = batch_sums(drawn)
        if self._config.refill:
            places = [place for _, place in names]
            done = await refill(drawn, places, self._config.generations, self._others(seed), self._config.refill, roll)
            batch = done.batch
            self._measured |= {name: (value, 1) for name, value in done.metrics().items()}
        if self._faulty:
            hits = self._faulty.hits
            self._measured |= {f"faults/{kind}": (hits[kind], hits["calls"]) for kind in InjectedFault}
        return batch

    def _others(self, seed: str) -> list[str]:
        """Tasks that this process may take beside those of the batch; no other process takes them."""
        config, first = self._config, self.rolled * self._config.prompts
        taken = self.train_dataset[first : first + config.prompts]["task_id"]
        found = spares(self._given.tasks, taken, seed, config.refill * config.prompts)
        return found[self.accelerator.process_index :: self.accelerator.num_processes]

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, logits_to_keep: int, *_: Any,
        compute_entropy: bool = False, compute_aux_loss: bool = False, **__: Any,
    ) -> Any:  # fmt: skip
        if self._sampled is not None and model is self.model and not _adapters_are_off(model):
            return self._sampled.to(input_ids.device), None, None
        # Prompts come padded on the left. With all padding on the right, attention needs no mask (``without_mask``),
        # and rows of similar length can be computed together, each few as wide as its longest.
        batch, size = input_ids.shape
        places = torch.arange(size, device=input_ids.device)
        shift, lengths = attention_mask.argmax(1, keepdim=True), attention_mask.sum(1, keepdim=True)
        labels = input_ids.masked_fill(attention_mask == 0, -100)
        labels[:, :-logits_to_keep] = -100
        if self._learnt is not None:
            labels[:, -logits_to_keep:].masked_fill_(self._learnt == 0, -100)
        origin = (places + shift).clamp(max=size - 1)
        inside = (places < lengths).to(attention_mask.dtype)
        aligned, labels = input_ids.gather(1, origin), labels.gather(1, origin).masked_fill(inside == 0, -100)
        order = lengths[:, 0].argsort(descending=True)
        rows = max(1, _TOGETHER // size) if input_ids.device.type == "cpu" else batch
        parts: list[list[torch.Tensor]] = []
        auxiliary = []
        for chosen in torch.split(order, rows):
            width = int(lengths[chosen].max())
            router = {"output_router_logits": True} if compute_aux_loss else {}
            with self.accelerator.autocast():
                output = model(
                    input_ids=aligned[chosen, :width], attention_mask=inside[chosen, :width],
                    labels=labels[chosen, :width], fused_lm_head=True, **router,
                )  # fmt: skip
            found = (output.log_probs, output.entropy) if compute_entropy else (output.log_probs,)
            parts.append([F.pad(one, (0, size - width)) for one in found])
            auxiliary += [output.aux_loss] if compute_aux_loss else []
        # Column j of these is about the token after it; back to where TRL has completions.
        wanted = (places[size - logits_to_keep :] - shift - 1).clamp(min=0)
        whole = [torch.cat(one)[order.argsort()].gather(1, wanted) for one in zip(*parts, strict=True)]
        self._last = whole[0].detach()
        return whole[0], whole[1] if compute_entropy else None, torch.stack(auxiliary).mean() if auxiliary else None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        summed = self.loss_type in _SUMMED_LOSSES and self.beta == 0 and not self._entropy_bonus_enabled
        # TRL gathers a value per row, so every process keeps as many rows as the one with the most to do.
        most = int(self.accelerator.gather(_busy(inputs).sum()).max()) if summed else None
        inputs = without_padding(inputs, most)
        self._learnt = inputs["completion_mask"] * inputs["tool_mask"]
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        self._learnt = None
        mask = inputs["completion_mask"] * inputs["tool_mask"]
        moved = (self._last - inputs["sampling_per_token_logps"]) * mask
        # How far the policy is from the one that sampled: e^x - 1 - x is never negative, and the divergence on average.
        sums = torch.stack([(moved.expm1() - moved).sum(), moved.abs().sum(), mask.sum()])
        diverged, apart, tokens = self.accelerator.reduce(sums, "sum")
        self._metrics["train"]["sampling/kl"].append(float(diverged / tokens.clamp(min=1)))
        if self._fresh:
            # The first minibatch is still on policy: here sampler and trainer must agree.
            self._metrics["train"]["sampling/logprob_difference"].append(float(apart / tokens.clamp(min=1)))
            self._fresh = False
        return loss

    def resume_counts(self, history: Sequence[dict[str, Any]]) -> None:
        """Nothing to do: TRL's counts are in the trainer's state."""


def _adapters_are_off(model: Any) -> bool:
    """Whether this is the reference: with adapters, it is the same model without them."""
    return any(isinstance(layer, BaseTunerLayer) and layer.disable_adapters for layer in model.modules())


def _busy(inputs: dict[str, Any]) -> torch.Tensor:
    """Which rows have an advantage and a token to learn."""
    busy: torch.Tensor = (inputs["advantages"] != 0) & (inputs["completion_mask"] * inputs["tool_mask"]).any(1)
    return busy


def without_padding(inputs: dict[str, Any], keep: int | None) -> dict[str, Any]:
    """The same minibatch in fewer tokens.

    Args:
        inputs: tensors as TRL made them, padded to the longest of all minibatches: prompts on the left, completions
            on the right.
        keep: rows to keep (but at least one), those with an advantage and a token to learn first; others that stay
            teach and count nothing. None keeps all. Where nobody has such a row, the one that stays is whole.

    Returns:
        Tensors of the same names; shapes (rows kept, longest prompt) and (rows kept, longest completion).
    """
    rows = torch.arange(len(inputs["advantages"]))
    if keep is not None:
        busy = _busy(inputs)
        rows = busy.int().argsort(descending=True, stable=True)[: max(1, keep)].sort().values
        if keep:
            inputs = {**inputs, "tool_mask": inputs["tool_mask"] * busy[:, None]}
    prompt = int(inputs["prompt_mask"][rows].sum(1).max())
    completion = int(inputs["completion_mask"][rows].sum(1).max())
    kept: dict[str, Any] = {}
    for name, value in inputs.items():
        if not isinstance(value, torch.Tensor) or value.ndim == 0:
            kept[name] = value
        elif value.ndim == 1:
            kept[name] = value[rows]
        elif name.startswith("prompt"):
            kept[name] = value[rows, -prompt:]
        else:
            kept[name] = value[rows, :completion]
    return kept
