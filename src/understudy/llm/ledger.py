"""What a run paid for: one line per answered request in ``requests.jsonl``, and sums by role.

Answers from the cache cost nothing and are not in it. A line is written just before its answer goes into the cache; a
process that is killed in between leaves one line without an answer, which is dropped as the answer will be asked for
again. So the sums of a run that was killed and resumed are those of a run that was not.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from understudy.errors import InputError, OutageError
from understudy.jsonl import JsonlWriter, read_jsonl
from understudy.llm.cache import Cache
from understudy.llm.protocol import ChatReply

REQUESTS = "requests.jsonl"


class Ledger:
    """Counts requests, tokens and money, those of earlier processes included once it is entered.

    Args:
        path: of the file, which is made if missing.
        cache: where the answers go; None for nowhere.

    Attributes:
        requests: answered and paid for.
        tokens: read and written, by role.
        cost: money by the price list, by role.
    """

    def __init__(self, path: Path, cache: Cache | None = None) -> None:
        self.requests = 0
        self.tokens: Counter[str] = Counter()
        self.cost: defaultdict[str, float] = defaultdict(float)
        self._path, self._cache = path, cache
        self._writer: JsonlWriter | None = None

    def add(self, key: bytes, role: str, model: str, reply: ChatReply) -> None:
        """Record a paid answer, by its key in the cache.

        Raises:
            OutageError: the disk refuses.
        """
        record = {
            "key": key.hex(),
            "role": role,
            "model": model,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "cost": reply.cost,
        }
        if self._writer is None:
            raise RuntimeError("a ledger is written to between __enter__ and __exit__")
        try:
            self._writer.write(record)
        except InputError as error:
            raise OutageError(str(error)) from None
        self._count(record)

    def _count(self, record: dict[str, Any], times: int = 1) -> None:
        self.requests += times
        self.tokens[record["role"]] += times * (record["prompt_tokens"] + record["completion_tokens"])
        self.cost[record["role"]] += times * record["cost"]

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            InputError: it is damaged, or the disk refuses.
        """
        # Killing the process loses nothing that was written; only a power cut could, and costs no more than exact sums.
        self._writer = JsonlWriter(self._path, sync_every=sys.maxsize)
        last: dict[str, Any] | None = None
        for record in read_jsonl(self._path):
            self._count(record)
            last = record
        if last and self._cache and not self._cache.get(bytes.fromhex(last["key"])):
            os.truncate(self._path, self._path.stat().st_size - len(orjson.dumps(last)) - 1)
            self._count(last, -1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer:
            self._writer.close()
            self._writer = None
