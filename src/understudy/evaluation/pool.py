"""Work on many items at a bounded concurrency, without a barrier: a slow item delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

T = TypeVar("T")


async def for_each(items: Collection[T], work: Callable[[T], Awaitable[None]], concurrency: int) -> None:
    """Do ``work`` on every item, ``concurrency`` of them at a time.

    Raises:
        Exception: what the first item that failed raised; the others are cancelled.
    """
    owed = iter(items)

    async def draw() -> None:
        for item in owed:  # all workers draw from one iterator
            await work(item)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(concurrency, len(items))):
                workers.create_task(draw())
    except ExceptionGroup as failed:  # the first failure is what the caller can act on
        raise failed.exceptions[0] from None
