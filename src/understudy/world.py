"""The world of one task: what is true, and what has been observed.

An observation is a pure function of (world, contract, canonical arguments). Facts are frozen before rollouts start;
the memo makes simulation by a sampling model a function too, and a single computation serves all who ask at once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Any

from understudy.contract import ToolContract
from understudy.noun import Noun
from understudy.schema import canonical
from understudy.scoring import normalize
from understudy.task import Fact


class FactsFrom(StrEnum):
    """Where a world's facts come from. Every result records it."""

    EVIDENCE = "evidence"
    DRAFTED = "drafted"
    NONE = "none"


class Remembered(Noun):
    """What a tool said: its content and status value, as an observation's."""

    content: Any
    status: str


class World:
    """Frozen facts and a memo, shared by every rollout of a task.

    Args:
        task_id: whose world it is.
        facts: what is true; duplicates are dropped, order is kept.
        facts_from: where the facts come from.
        memo: observations remembered from an earlier run, by ``memo_key``.
    """

    def __init__(
        self,
        task_id: str,
        facts: Iterable[Fact] = (),
        facts_from: FactsFrom = FactsFrom.NONE,
        memo: dict[str, Remembered] | None = None,
    ) -> None:
        self.task_id = task_id
        self.facts = tuple(dict.fromkeys(facts))
        self.facts_from = facts_from
        self.memo = dict(memo or {})
        self._in_flight: dict[str, asyncio.Future[Remembered]] = {}
        self._mentions: dict[str, list[Fact]] = {}
        for fact in self.facts:
            for side in {normalize(fact.subject), normalize(fact.object)}:
                self._mentions.setdefault(side, []).append(fact)
        content = canonical([task_id, facts_from, [fact.model_dump() for fact in self.facts]])
        self.id = hashlib.sha256(content).hexdigest()[:16]

    def about(self, text: str) -> list[Fact]:
        """Facts whose subject or object is ``text`` up to normalisation."""
        return list(self._mentions.get(normalize(text), ()))

    @staticmethod
    def memo_key(contract: ToolContract, arguments: dict[str, Any]) -> str:
        """Identity of a call: the contract and its arguments in canonical form."""
        return hashlib.sha256(contract.key() + b"\0" + canonical(arguments)).hexdigest()[:32]

    async def observe(
        self, contract: ToolContract, arguments: dict[str, Any], compute: Callable[[], Awaitable[Remembered]]
    ) -> Remembered:
        """The remembered observation of this call, computed once however many rollouts ask at the same time.

        A failure of ``compute`` is raised to everybody who waits for it and is not remembered.
        """
        key = self.memo_key(contract, arguments)
        if (known := self.memo.get(key)) is not None:
            return known
        if (running := self._in_flight.get(key)) is None:
            running = asyncio.ensure_future(compute())
            self._in_flight[key] = running
            running.add_done_callback(lambda done: self._settle(key, done))
        # A waiter that is cancelled (its rollout timed out) must not cancel the computation for the others.
        return await asyncio.shield(running)

    def _settle(self, key: str, done: asyncio.Future[Remembered]) -> None:
        self._in_flight.pop(key, None)
        if not done.cancelled() and done.exception() is None:
            self.memo[key] = done.result()

    def to_record(self) -> dict[str, Any]:
        """One line of ``worlds.jsonl``."""
        return {
            "task_id": self.task_id,
            "world_id": self.id,
            "facts_from": self.facts_from.value,
            "facts": [fact.model_dump() for fact in self.facts],
            "memo": {key: value.model_dump() for key, value in self.memo.items()},
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> World:
        """Read a line of ``worlds.jsonl``."""
        return cls(
            task_id=record["task_id"],
            facts=[Fact(**fact) for fact in record["facts"]],
            facts_from=FactsFrom(record["facts_from"]),
            memo={key: Remembered(**value) for key, value in record["memo"].items()},
        )
