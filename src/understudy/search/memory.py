"""BM25 in memory, for up to about 200,000 passages."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Self

from understudy.errors import InputError
from understudy.search.retriever import DEFAULT_K, Hit
from understudy.task import Passage


class MemoryIndex:
    """A ``Retriever`` over passages in memory. Make one with ``build``."""

    def __init__(self, passages: Sequence[Passage], bm25: Any, name: str) -> None:
        self.passages = passages
        self.name = name
        self._bm25 = bm25

    @classmethod
    def build(cls, passages: Iterable[Passage]) -> Self:
        """Index passages. Equal passages in equal order give an index of the same name.

        Raises:
            InputError: there are no passages.
        """
        import bm25s  # takes a moment to import, and only searches need it

        kept = list(passages)
        if not kept:
            raise InputError("search: no passages to index")
        bm25 = bm25s.BM25(k1=1.2, b=0.75)
        bm25.index(_tokens([f"{passage.title} {passage.text}" for passage in kept]), show_progress=False)
        digest = hashlib.sha256()
        for passage in kept:
            digest.update(f"{passage.title}\0{passage.text}\0".encode())
        return cls(kept, bm25, f"bm25-memory:{len(kept)}:{digest.hexdigest()[:8]}")

    async def search(self, queries: Sequence[str], k: int = DEFAULT_K) -> list[list[Hit]]:
        """At most ``k`` hits for each query, best first; none where no word matches."""
        return await asyncio.to_thread(self._search, queries, k)

    def _search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        rows, scores = self._bm25.retrieve(
            _tokens(list(queries)), k=min(k, len(self.passages)), show_progress=False, n_threads=0
        )
        return [
            [
                Hit(passage=self.passages[row], score=float(score))
                for row, score in zip(*found, strict=True)
                if score > 0
            ]
            for found in zip(rows, scores, strict=True)
        ]


def _tokens(texts: list[str]) -> Any:
    import bm25s

    words = r"(?u)\w+"
    return bm25s.tokenize(texts, token_pattern=words, stopwords=[], return_ids=False, show_progress=False)
