"""What a search finds, and whoever can search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from understudy.noun import Noun
from understudy.task import Passage

DEFAULT_K = 3
"""Passages that a search returns, as in Search-R1's protocol."""


class Hit(Noun):
    """A passage that was found. ``score`` orders the hits of one query and means nothing across retrievers."""

    passage: Passage
    score: float


class Retriever(Protocol):
    """Finds passages. The same query in the same passages gives the same hits."""

    @property
    def name(self) -> str:
        """Method and passages, such as ``bm25-memory:14248:9f86d081``; results are told apart by it."""
        ...

    async def search(self, queries: Sequence[str], k: int = DEFAULT_K) -> list[list[Hit]]:
        """At most ``k`` hits for each query, best first; none where nothing matches.

        Raises:
            SimulatorError: this search has no answer.
            OutageError: no search will have one.
        """
        ...
