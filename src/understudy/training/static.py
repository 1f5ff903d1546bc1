"""The engine for small models on the CPU: caches kept across turns, prompts shared by a group, no barrier.

One loop decodes a token in every active row, takes in new requests between steps, and lets the event loop run, so that
tools of some rollouts work while others are sampled. A finished turn leaves its cache in place; the next request
appends the observation to it in one chunk. A prompt that another open slot has already read is copied, not computed.

Operations are short, so threads pay only where cores are free: on a machine that is busy otherwise, one thread
(``torch.set_num_threads(1)``) was measured to be many times faster than two, which wait for each other in every one.

Active rows need not be neighbours: a step runs over the first n rows, idle ones among them at the price of their
arithmetic, and rows are moved together when too many are idle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from understudy.training.decoder import Decoder
from understudy.training.engine import Completion, PendingTurn, draw

_FULL = 0.75
"""Rows are moved together when fewer than this share of the rows in a step are active."""
_PATIENCE = 8
"""Steps that a request may wait for others to be read together with."""
_CHUNK = 8192
"""Tokens read at once."""
_TURNS = 8
"""Turns of the event loop given away after rows have finished: what a tool that answers from memory takes."""


class StaticEngine:
    """See the module.

    Args:
        model: a small causal language model; its weights are read again whenever the first slot is opened.
        stop_id: the token that ends a turn.
        rows: slots that generate at once; more may be open, and wait for a place.
    """

    def __init__(self, model: Any, stop_id: int, rows: int = 128) -> None:
        self._decoder = Decoder(model, rows)
        self._stop = stop_id
        self._open = 0
        self._free = list(range(rows))
        self._owner: list[_Slot | None] = [None] * rows
        self._waiting: list[_Slot] = []
        self._active: set[_Slot] = set()
        self._task: asyncio.Task[None] | None = None
        self._prompts: dict[tuple[int, ...], tuple[_Slot, torch.Tensor]] = {}
        # One entry a row. `length` counts cached tokens; `last` is sampled but not yet cached.
        self._length = torch.zeros(rows, dtype=torch.long)
        self._last = torch.zeros(rows, dtype=torch.long)
        self._count = torch.zeros(rows, dtype=torch.long)
        self._limit = torch.zeros(rows, dtype=torch.long)
        self._on = torch.zeros(rows, dtype=torch.long)
        self._temperature = torch.ones(rows)
        self._uniform = torch.zeros(rows, 1)
        self._ids = torch.zeros(rows, 1, dtype=torch.long)
        self._logprobs = torch.zeros(rows, 1)

    @property
    def context(self) -> int:
        """Tokens that a slot can hold."""
        return self._decoder.context

    def open(self, temperature: float) -> _Slot:
        """Start a conversation."""
        if self._open == 0:
            self._decoder.refresh()
            self._prompts.clear()
        self._open += 1
        return _Slot(self, temperature)

    def _submit(self, slot: _Slot) -> None:
        self._waiting.append(slot)
        self._wake()

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def _admissible(self) -> bool:
        return bool(self._waiting) and (bool(self._free) or any(slot.row is not None for slot in self._waiting))

    def _release(self, slot: _Slot) -> None:
        self._open -= 1
        self._active.discard(slot)
        if slot in self._waiting:
            self._waiting.remove(slot)
        if slot.row is not None:
            self._on[slot.row] = 0
            self._owner[slot.row] = None
            self._free.append(slot.row)
        for prompt, (owner, _) in list(self._prompts.items()):
            if owner is slot:
                del self._prompts[prompt]
        if self._waiting:
            self._wake()

    async def _run(self) -> None:
        """Decode until nothing is active and nothing can be taken in. What goes wrong is raised to all who wait."""
        patience = _PATIENCE
        try:
            while self._active or self._admissible():
                await asyncio.sleep(0)
                patience -= 1
                if self._admissible() and (len(self._waiting) * 4 >= len(self._active) or patience <= 0):
                    self._admit()
                    patience = _PATIENCE
                if self._active and self._step():
                    for _ in range(_TURNS):
                        await asyncio.sleep(0)
        except Exception as error:
            for slot in [*self._waiting, *filter(None, self._owner)]:
                slot.fail(error)
            self._active.clear()
            self._waiting.clear()

    @torch.inference_mode()  # around each call: the mode is the thread's, and must not be held across an await
    def _admit(self) -> None:
        """Read what waits, as far as there is room, and sample the first token of each."""
        admitted: list[_Slot] = []
        self._free.sort(reverse=True)
        for slot in list(self._waiting):
            if slot.row is None:
                if not self._free:
                    continue
                slot.row = self._free.pop()
                self._owner[slot.row] = slot
                self._length[slot.row] = 0
            self._waiting.remove(slot)
            admitted.append(slot)
        logits = self._read(admitted)
        rows = torch.tensor([slot.row for slot in admitted])
        self._widen(max(len(slot.uniform) for slot in admitted))
        for slot in admitted:
            self._uniform[slot.row, : len(slot.uniform)] = torch.from_numpy(slot.uniform)
        self._length[rows] = torch.tensor([slot.length for slot in admitted])
        self._limit[rows] = torch.tensor([len(slot.uniform) for slot in admitted])
        self._temperature[rows] = torch.tensor([slot.temperature for slot in admitted])
        self._count[rows] = 0
        self._on[rows] = 1
        self._active.update(admitted)
        self._take(rows, logits)

    def _read(self, admitted: Sequence[_Slot]) -> torch.Tensor:
        """Cache the new tokens of some slots; logits after each, (slots, vocabulary)."""
        logits: dict[_Slot, torch.Tensor] = {}
        followers: dict[tuple[int, ...], list[_Slot]] = {}
        leaders: dict[tuple[int, ...], _Slot] = {}
        batch: list[_Slot] = []
        for slot in admitted:
            if slot.length == 0:
                prompt = tuple(slot.new)
                if prompt in self._prompts or prompt in leaders:
                    followers.setdefault(prompt, []).append(slot)
                    continue
                leaders[prompt] = slot
            if batch and sum(len(other.new) for other in batch) + len(slot.new) > _CHUNK:
                logits.update(self._extend(batch))
                batch = []
            batch.append(slot)
        logits.update(self._extend(batch))
        self._prompts.update({prompt: (slot, logits[slot]) for prompt, slot in leaders.items()})
        for prompt, group in followers.items():
            owner, known = self._prompts[prompt]
            self._decoder.copy([_placed(owner)] * len(group), [_placed(slot) for slot in group], len(prompt))
            logits.update(dict.fromkeys(group, known))
        for slot in admitted:
            slot.length += len(slot.new)
        return torch.stack([logits[slot] for slot in admitted])

    def _extend(self, batch: Sequence[_Slot]) -> dict[_Slot, torch.Tensor]:
        if not batch:
            return {}
        rows, chunks = [_placed(slot) for slot in batch], [slot.new for slot in batch]
        return dict(zip(batch, self._decoder.extend(rows, chunks, [slot.length for slot in batch]), strict=True))

    @torch.inference_mode()
    def _step(self) -> bool:
        """Decode one token in every active row; whether any turn has finished."""
        span = max(_placed(slot) for slot in self._active) + 1
        if len(self._active) < _FULL * span:
            span = self._compact(span)
        lengths = self._length[:span]
        end = int(lengths.max()) + 1
        self._decoder.reserve(end)
        logits = self._decoder.step(self._last[:span], lengths, end)
        self._length[:span] += self._on[:span]
        return self._take(torch.arange(span), logits)

    def _take(self, rows: torch.Tensor, logits: torch.Tensor) -> bool:
        """Sample a token in each of these rows (what idle ones get is never read), and settle finished turns."""
        count = self._count[rows]
        column = count.clamp(max=self._uniform.shape[1] - 1)
        ids, logprobs = draw(logits, self._temperature[rows], self._uniform[rows, column])
        self._last[rows] = ids
        self._ids[rows, column], self._logprobs[rows, column] = ids, logprobs
        count += self._on[rows]
        self._count[rows] = count
        finished = rows[((ids == self._stop) | (count >= self._limit[rows])) & (self._on[rows] == 1)].tolist()
        for row in finished:
            self._settle(row)
        return bool(finished)

    def _settle(self, row: int) -> None:
        slot, count = self._owner[row], int(self._count[row])
        assert slot is not None  # noqa: S101 (only owned rows are active)
        self._on[row] = 0
        self._active.discard(slot)
        # All but the last sampled token are cached by now; the last is read with the next observation.
        slot.length += count - 1
        completion = Completion(self._ids[row, :count].tolist(), self._logprobs[row, :count].tolist())
        slot.new = completion.ids[-1:]
        slot.finish(completion)

    def _compact(self, span: int) -> int:
        """Exchange idle rows in front with active ones behind; the number of rows that the next step needs."""
        target = len(self._active)
        front = [row for row in range(target) if not self._on[row]]
        back = [row for row in range(target, span) if self._on[row]]
        self._decoder.exchange(front, back, int(self._length[:span].max()))
        here, there = torch.tensor(front + back), torch.tensor(back + front)
        for state in (self._length, self._last, self._count, self._limit, self._on, self._temperature):
            state[here] = state[there]
        for table in (self._uniform, self._ids, self._logprobs):
            table[here] = table[there]
        for low, high in zip(front, back, strict=True):
            self._owner[low], self._owner[high] = self._owner[high], self._owner[low]
            if low in self._free:
                self._free[self._free.index(low)] = high
            for row in (low, high):
                if (owner := self._owner[row]) is not None:
                    owner.row = row
        return target

    def _widen(self, columns: int) -> None:
        """Make room for turns of this many tokens."""
        if (missing := columns - self._uniform.shape[1]) > 0:
            self._uniform = torch.nn.functional.pad(self._uniform, (0, missing))
            self._ids = torch.nn.functional.pad(self._ids, (0, missing))
            self._logprobs = torch.nn.functional.pad(self._logprobs, (0, missing))


class _Slot(PendingTurn):
    """One conversation. ``length`` counts its cached tokens, ``new`` are those to be read next."""

    def __init__(self, engine: StaticEngine, temperature: float) -> None:
        super().__init__(temperature)
        self.row: int | None = None
        self.length = 0
        self.new: list[int] = []
        self._engine, self._closed = engine, False

    async def sample(self, new_ids: Sequence[int], max_tokens: int, generator: np.random.Generator) -> Completion:
        """See ``engine.Slot``."""
        self.new += new_ids
        turn = self.begin(self.length + len(self.new), max_tokens, self._engine.context, generator)
        self._engine._submit(self)
        return await turn

    def close(self) -> None:
        """Give the row back."""
        if not self._closed:
            self._closed = True
            self.abandon()
            self._engine._release(self)


def _placed(slot: _Slot) -> int:
    """The row of a slot that has one."""
    assert slot.row is not None  # noqa: S101 (callers hold admitted slots only)
    return slot.row
