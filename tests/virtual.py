"""An event loop whose time passes only while everybody sleeps, and then at once: an hour of waiting takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


LATE = 1e-9
"""Seconds by which sleepers oversleep, as on any clock: woken a rounding error early, two of them could take turns for
ever, and no time would pass."""


class _Selector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout=None):
        self.now += timeout + LATE if timeout else 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing but time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)


def now() -> float:
    """Virtual seconds since the start."""
    return asyncio.get_running_loop().time()


def most_within(events, seconds):
    """The most that any stretch of this length holds of (time, amount)."""
    return max(
        (sum(amount for time, amount in events if start <= time < start + seconds) for start, _ in events), default=0
    )
