"""Engines that sample one batch after another: turns that are waiting are sampled together, in a thread.

Those that arrive meanwhile form the next batch, and tools proceed. Nothing is cached between turns.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from understudy.training.engine import Completion, PendingTurn


class BatchEngine(ABC):
    """See the module.

    Args:
        stop_id: the token that ends a turn.
        rows: turns sampled at once.
    """

    def __init__(self, stop_id: int, rows: int) -> None:
        self._stop, self._rows = stop_id, rows
        self._waiting: list[BatchSlot] = []
        self._task: asyncio.Task[None] | None = None

    @property
    @abstractmethod
    def context(self) -> int:
        """Tokens that a slot can hold."""

    @abstractmethod
    def _sample(self, batch: Sequence[BatchSlot]) -> list[Completion]:
        """One turn for each slot, in a thread."""

    def open(self, temperature: float) -> BatchSlot:
        """Start a conversation."""
        return BatchSlot(self, temperature)

    def submit(self, slot: BatchSlot) -> None:
        """Have a slot's turn sampled with the next batch."""
        self._waiting.append(slot)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)
            batch, self._waiting = self._waiting[: self._rows], self._waiting[self._rows :]
            batch = [slot for slot in batch if not slot.closed]
            if not batch:
                continue
            try:
                completions = await asyncio.to_thread(self._sample, batch)
            except Exception as error:
                for slot in batch:
                    slot.fail(error)
            else:
                for slot, completion in zip(batch, completions, strict=True):
                    slot.finish(completion)

    def _cut(self, slot: BatchSlot, ids: list[int], logprobs: list[float]) -> Completion:
        """What belongs to a slot's turn of what was sampled for the longest turn of its batch."""
        size = len(slot.uniform)
        if self._stop in ids[:size]:
            size = ids.index(self._stop) + 1
        return Completion(ids[:size], logprobs[:size])


class BatchSlot(PendingTurn):
    """One conversation; ``ids`` are all of its tokens."""

    def __init__(self, engine: BatchEngine, temperature: float) -> None:
        super().__init__(temperature)
        self.ids: list[int] = []
        self.closed = False
        self._engine = engine

    async def sample(self, new_ids: Sequence[int], max_tokens: int, generator: np.random.Generator) -> Completion:
        """See ``engine.Slot``."""
        self.ids += new_ids
        turn = self.begin(len(self.ids), max_tokens, self._engine.context, generator)
        self._engine.submit(self)
        completion = await turn
        self.ids += completion.ids
        return completion

    def close(self) -> None:
        """Give up what is still waited for."""
        self.closed = True
        self.abandon()
