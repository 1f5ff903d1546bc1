"""A client for the retrieval server that Search-R1's users run: ``POST /retrieve`` with ``queries`` and ``topk``.

The server answers ``{"result": [[{"document": {…}, "score": 1.0}, …], …]}``, a list for each query; some leave out the
scores, and then the list holds the documents. Nothing that comes back is trusted: size, shape and number are checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from understudy.errors import SimulatorError
from understudy.llm.retry import Patience, Retries, accept
from understudy.llm.transport import HttpTransport
from understudy.search.corpus import to_passage
from understudy.search.retriever import DEFAULT_K, Hit

PATIENCE = Patience(timeout=30, attempts=4)
"""Less than for a model: a search takes no minute, and all attempts have to fit into a rollout's time."""
MAX_REQUESTS = 64
"""Requests under way at once; more wait here, not in the server's queue, where their time would run."""


class RetrievalServer:
    """A ``Retriever`` over HTTP. Close it, as with ``async with aclosing(RetrievalServer(url)) as retriever``.

    Args:
        url: where to post, such as ``http://127.0.0.1:8000/retrieve``.
        finds: with what and in what it searches, such as ``e5-base-v2 in wiki-18``. The server does not tell, so
            results can name it only if it is said here.
        patience: attempts and time-outs.
    """

    def __init__(self, url: str, finds: str = "", patience: Patience = PATIENCE) -> None:
        place = urlsplit(url).netloc.rpartition("@")[2]
        self.name = f"retrieval-server:{finds or place}"
        self._transport = HttpTransport(url, key="")
        self._timeout = patience.timeout
        self._retries = Retries(f"retrieval server at {place}", patience, SimulatorError)
        self._slots = asyncio.Semaphore(MAX_REQUESTS)

    async def search(self, queries: Sequence[str], k: int = DEFAULT_K) -> list[list[Hit]]:
        """At most ``k`` hits for each query, in the server's order.

        Raises:
            SimulatorError: there is no usable answer after all attempts.
            OutageError: the server can't be reached, or refuses whatever it is asked.
        """
        body = orjson.dumps({"queries": list(queries), "topk": k, "return_scores": True})

        async def attempt() -> list[list[Hit]]:
            async with self._slots, asyncio.timeout(self._timeout):
                response = await self._transport.post(body)
            return _hits(accept(response), len(queries), k)

        return await self._retries.until_answered(attempt)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._transport.aclose()


def _hits(body: bytes, queries: int, k: int) -> list[list[Hit]]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("the answer is not JSON") from None
    found = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(found, list) or len(found) != queries or not all(isinstance(one, list) for one in found):
        raise ValueError(f"the answer must be an object whose 'result' has a list for each of {queries} queries")
    return [[_hit(item, rank) for rank, item in enumerate(one[:k])] for one in found]


def _hit(item: Any, rank: int) -> Hit:
    scored = isinstance(item, dict) and isinstance(item.get("document"), dict)
    document = item["document"] if scored else item
    if not isinstance(document, dict):
        raise ValueError("a document must be an object")
    score = item.get("score") if scored else None
    return Hit(passage=to_passage(document), score=score if isinstance(score, int | float) else -float(rank))
