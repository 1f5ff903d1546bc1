"""The engine for any causal language model: Hugging Face ``generate``, one batch after another.

Tokens are drawn by the same function as in the static engine: the same random numbers give the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from understudy.training.batching import BatchEngine, BatchSlot
from understudy.training.engine import Completion, draw


class GenerateEngine(BatchEngine):
    """See the module.

    Args:
        model: a causal language model on any device.
        stop_id: the token that ends a turn.
        rows: turns generated at once.
    """

    def __init__(self, model: Any, stop_id: int, rows: int = 64) -> None:
        super().__init__(stop_id, rows)
        self._model = model

    @property
    def context(self) -> int:
        """Tokens that a slot can hold."""
        limit: int = self._model.config.max_position_embeddings
        return limit

    def _sample(self, batch: Sequence[BatchSlot]) -> list[Completion]:
        device = self._model.device
        longest = max(len(slot.ids) for slot in batch)
        ids = torch.full((len(batch), longest), self._stop, device=device)
        attention = torch.zeros_like(ids)
        limit = max(len(slot.uniform) for slot in batch)
        uniform = np.zeros((len(batch), limit), dtype=np.float32)
        for row, slot in enumerate(batch):
            ids[row, longest - len(slot.ids) :] = torch.tensor(slot.ids, device=device)
            attention[row, longest - len(slot.ids) :] = 1
            uniform[row, : len(slot.uniform)] = slot.uniform
        drawing = _Draw(
            torch.tensor([slot.temperature for slot in batch], device=device),
            torch.from_numpy(uniform).to(device),
        )
        # Named, because whatever is left out is filled in from the model's own defaults, penalties among them.
        config = GenerationConfig(
            max_new_tokens=limit, do_sample=False, num_beams=1, repetition_penalty=1.0, no_repeat_ngram_size=0,
            eos_token_id=self._stop, pad_token_id=self._stop,
        )  # fmt: skip
        training = self._model.training
        self._model.eval()
        try:
            # Weights that are trained are float32; sampling them in the precision of training keeps both in step.
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                self._model.generate(
                    input_ids=ids, attention_mask=attention, generation_config=config,
                    logits_processor=LogitsProcessorList([drawing]),
                )  # fmt: skip
        finally:
            self._model.train(training)
        sampled, logprobs = (torch.stack(column, 1).tolist() for column in (drawing.ids, drawing.logprobs))
        return [self._cut(*row) for row in zip(batch, sampled, logprobs, strict=True)]


class _Draw(LogitsProcessor):  # type: ignore[misc]
    """Draws the token itself and leaves ``generate`` no other choice."""

    def __init__(self, temperatures: torch.Tensor, uniform: torch.Tensor) -> None:
        self.ids: list[torch.Tensor] = []
        self.logprobs: list[torch.Tensor] = []
        self._temperatures, self._uniform = temperatures, uniform

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        ids, logprobs = draw(scores.float(), self._temperatures, self._uniform[:, len(self.ids)])
        self.ids.append(ids)
        self.logprobs.append(logprobs)
        return torch.full_like(scores, float("-inf")).scatter_(1, ids[:, None], 0.0)
