"""What may be spent per minute, of requests or of tokens: never exceeded, in no minute whatever its start.

What an answer costs is known only once it is there. So a request reserves the most it can cost, waits until that much
is free, and settles for what it did cost. Waiting is in order of arrival, so that a large request is not starved.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

PORTIONS = 10
"""A budget of requests is granted in tenths: who sends a minute's worth at once is refused by most servers."""

ROUNDING = 1e-6
"""Seconds added to a portion of a minute, as a minute's portions must not add up to less than a minute."""


@dataclass(slots=True)
class Bill:
    """What one request costs: what it reserved, until whoever knows better sets ``amount``."""

    amount: int


class Budget:
    """A sliding window over what was spent. Time is the event loop's.

    Args:
        limit: the most that may be spent within any stretch of ``seconds``.
        seconds: length of the window.
    """

    def __init__(self, limit: int, seconds: float = 60.0) -> None:
        self._limit, self._seconds = limit, seconds
        self._used = 0  # spent within the window, and reserved
        self._bills: deque[tuple[float, int]] = deque()  # when it leaves the window, how much
        self._turn, self._settled = asyncio.Lock(), asyncio.Event()

    @classmethod
    def of_requests(cls, per_minute: int) -> Budget:
        """A budget of requests, spread over the minute in as many equal portions as it divides into."""
        portions = max(count for count in range(1, PORTIONS + 1) if per_minute % count == 0)
        return cls(per_minute // portions, 60.0 / portions + ROUNDING)

    @asynccontextmanager
    async def spend(self, most: int) -> AsyncIterator[Bill]:
        """Spend within the block; the bill counts from its start until ``seconds`` after its end.

        Args:
            most: what the request can cost. More than the whole limit is let through alone.
        """
        bill = Bill(reserved := min(most, self._limit))
        async with self._turn:
            while self._used_now() and self._used + reserved > self._limit:
                await self._change()
            self._used += reserved
        try:
            yield bill
        finally:
            self._used += bill.amount - reserved
            if bill.amount:
                self._bills.append((asyncio.get_running_loop().time() + self._seconds, bill.amount))
            self._settled.set()

    def _used_now(self) -> int:
        now = asyncio.get_running_loop().time()
        while self._bills and self._bills[0][0] <= now:
            self._used -= self._bills.popleft()[1]
        return self._used

    async def _change(self) -> None:
        """Wait until a request settles, or the oldest bill leaves the window."""
        self._settled.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._bills[0][0] if self._bills else None):
                await self._settled.wait()
