"""Conversations that go as written, for ``rollouts.py``: the model computes as ever, and says what is written.

For our engines, the model's last norm is set to zero, so that all tokens are equally likely, and "random numbers" pick
the written ones. For ``generate`` on TRL's side, a logits processor leaves no other choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor

from understudy.trace import Call, Tokens, Turn
from understudy.training.engine import Completion, Engine, Slot

TURNS = 4


def script(number: int) -> list[Turn]:
    """What a rollout says: nought to three calls, then the answer."""
    turns, person = [], f"Anna {number}"
    for at in range(number % TURNS):
        thought = f"The question is about the line of {person}, so I look up who came after, and go on from there."
        turns.append(Turn(thought=thought, calls=(Call(id=str(at), name="find_heir", arguments={"person": person}),)))
        person = f"{person} Kesh"
    return [*turns, Turn(thought=f"Nobody is left to look up, so the last of them is {person}.", answer=person)]


def following(tokens: Tokens) -> dict[tuple[int, ...], list[int]]:
    """All tokens of a conversation up to where a turn starts → those of the turn."""
    ids, mask = [*tokens.prompt, *tokens.completion], [*[0] * len(tokens.prompt), *tokens.mask, 0]
    starts = [at for at in range(1, len(ids)) if mask[at] and not mask[at - 1]]
    return {tuple(ids[:at]): ids[at : mask.index(0, at)] for at in starts}


class Scripted:
    """An engine whose conversations go as written: by prompt, the tokens of each turn."""

    def __init__(self, engine: Engine, turns: dict[tuple[int, ...], list[list[int]]], vocabulary: int) -> None:
        self.engine, self.turns, self.vocabulary, self.context = engine, turns, vocabulary, engine.context

    def open(self, temperature: float) -> Slot:
        """Start a conversation."""
        return _Slot(self, self.engine.open(temperature))


class _Slot:
    def __init__(self, script: Scripted, slot: Slot) -> None:
        self._script, self._slot, self.close = script, slot, slot.close
        self._left: Iterator[list[int]] | None = None

    async def sample(self, new_ids: Sequence[int], max_tokens: int, generator: np.random.Generator) -> Completion:
        self._left = self._left or iter(self._script.turns[tuple(new_ids)])
        ids = next(self._left)
        dictated: Any = _Dictated((np.array(ids) + 0.5) / self._script.vocabulary)
        said = await self._slot.sample(new_ids, len(ids), dictated)
        assert said.ids == ids, "the model did not say what is written"
        return said


class _Dictated:
    """In place of a generator of random numbers: numbers that were chosen beforehand."""

    def __init__(self, numbers: np.ndarray) -> None:
        self._numbers = numbers

    def random(self, count: int, dtype: Any) -> np.ndarray:
        return self._numbers[:count].astype(dtype)


class Dictation(LogitsProcessor):
    """Leaves each row no other token than its next."""

    def __init__(self, rows: list[list[int]]) -> None:
        self._rows, self._at = rows, 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores of the next token, (rows, vocabulary)."""
        ids = torch.tensor([row[min(self._at, len(row) - 1)] for row in self._rows])
        self._at += 1
        return torch.full_like(scores, float("-inf")).scatter_(1, ids[:, None], 0.0)
