"""Maps from hashes to numbers in flat arrays, so that what is remembered of 100,000 questions takes megabytes.

A Python dict of as many entries takes about five times the memory. Equal hashes of different texts are as likely as 64
bits make them: about 3e-10 among 100,000 texts.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator

_FIRST = 1 << 10
_MASK = (1 << 64) - 1


def hash64(text: str) -> int:
    """A 64-bit hash of a text: the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


class HashMap:
    """64-bit hash → number below 2³². Open addressing with linear probing; 18 to 36 bytes an entry."""

    def __init__(self) -> None:
        self._size = 0
        self._allocate(_FIRST)

    def __len__(self) -> int:
        return self._size

    def __contains__(self, key: int) -> bool:
        return self._keys[self._slot(key)] != 0

    def get(self, key: int) -> int | None:
        """The number under ``key``; None if there is none."""
        slot = self._slot(key)
        return self._numbers[slot] if self._keys[slot] else None

    def __setitem__(self, key: int, number: int) -> None:
        slot = self._slot(key)
        if not self._keys[slot]:
            if 3 * self._size >= 2 * len(self._keys):
                self._grow()
                slot = self._slot(key)
            self._keys[slot] = key or 1
            self._size += 1
        self._numbers[slot] = number

    def setdefault(self, key: int, number: int) -> int:
        """The number under ``key``, which is ``number`` from now on if there was none."""
        if (known := self.get(key)) is not None:
            return known
        self[key] = number
        return number

    def _slot(self, key: int) -> int:
        """Where ``key`` is, or would be. 0 marks a free slot, so the hash 0 shares its place with 1."""
        key, keys, last = key or 1, self._keys, len(self._keys) - 1
        slot = (key * 0x9E3779B97F4A7C15 & _MASK) >> 32 & last
        while (found := keys[slot]) and found != key:
            slot = slot + 1 & last
        return slot

    def _grow(self) -> None:
        old = zip(self._keys, self._numbers, strict=True)  # holds the old arrays for as long as it is needed
        self._allocate(2 * len(self._keys))
        for key, number in old:
            if key:
                slot = self._slot(key)
                self._keys[slot], self._numbers[slot] = key, number

    def _allocate(self, slots: int) -> None:
        self._keys, self._numbers = array("Q", bytes(8 * slots)), array("I", bytes(4 * slots))


class Postings:
    """64-bit hash → all numbers that were filed under it; 8 bytes a number beside the map."""

    def __init__(self) -> None:
        self._latest, self._numbers, self._before = HashMap(), array("I"), array("I")

    def add(self, key: int, number: int) -> None:
        """File ``number`` under ``key``."""
        self._numbers.append(number)
        self._before.append(self._latest.get(key) or 0)
        self._latest[key] = len(self._numbers)

    def under(self, key: int) -> Iterator[int]:
        """The numbers under ``key``, the latest first."""
        entry = self._latest.get(key) or 0
        while entry:
            yield self._numbers[entry - 1]
            entry = self._before[entry - 1]
