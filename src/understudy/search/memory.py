"""BM25 in memory, for up to about 200,000 passages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from understudy.errors import InputError
from understudy.search.identity import Identity
from understudy.search.ranking import CANDIDATES, K1, B, Candidate, best, query_words, searchable, words
from understudy.search.retriever import DEFAULT_K, Hit
from understudy.task import Passage

_INLINE = 20_000  # passages; below, a search takes a fraction of a millisecond, and handing it to a thread several


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
            InputError: there are no passages, or none with words.
        """
        import bm25s  # takes a moment to import, and only searches need it

        kept: list[Passage] = []
        ids: list[list[int]] = []
        vocabulary: dict[str, int] = {}  # numbers take a tenth of the memory of the words themselves
        identity = Identity()
        for passage in passages:
            kept.append(passage)
            identity.add(passage)
            ids.append([vocabulary.setdefault(word, len(vocabulary)) for word in words(searchable(passage))])
        if not vocabulary:
            raise InputError("search: no passages with words to index")
        bm25 = bm25s.BM25(k1=K1, b=B)
        bm25.index(bm25s.tokenization.Tokenized(ids, vocabulary), show_progress=False)
        return cls(kept, bm25, f"bm25-memory:{identity}")

    async def search(self, queries: Sequence[str], k: int = DEFAULT_K) -> list[list[Hit]]:
        """At most ``k`` hits for each query, best first; none where no word matches."""
        if len(queries) * len(self.passages) <= _INLINE:
            return [self._search(query, k) for query in queries]
        return await asyncio.to_thread(lambda: [self._search(query, k) for query in queries])

    def _search(self, query: str, k: int) -> list[Hit]:
        scores = self._bm25.get_scores_from_ids(self._bm25.get_tokens_ids(query_words(query)))
        rows = np.flatnonzero(scores)  # most passages have no word of the query
        if len(rows) > (limit := max(k, CANDIDATES)):
            rows = rows[np.argpartition(scores[rows], -limit)[-limit:]]
        candidates = (Candidate(row, float(scores[row]), self.passages[row]) for row in rows.tolist())
        return best(query, candidates, k)
