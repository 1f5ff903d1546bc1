"""Answers kept on disk under everything that determines them, so that no request is paid for twice.

One SQLite file, shared by all runs of a user and by processes of one machine. An answer is in it as soon as it is
there, whatever happens to the process next, and only what is asked for is in memory.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from understudy.errors import InputError, OutageError
from understudy.llm.protocol import ChatReply

FILE = "replies.sqlite"
LOCK_SECONDS = 30.0
"""How long another process's write is waited for."""


def default_folder() -> Path:
    """``understudy`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "understudy"


def cache_key(base_url: str, body: bytes, seed: int) -> bytes:
    """Identity of an answer: who was asked, what exactly, and which sample of its answers it is."""
    return hashlib.sha256(b"\0".join((base_url.rstrip("/").encode(), str(seed).encode(), body))).digest()


class Cache:
    """The answers in one folder, which is made if missing.

    Raises:
        InputError: the folder or its file can't be used.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._rows = sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None)
            # With a log beside the file a write is one short append; a power cut may lose the last ones, and no more.
            self._rows.execute("PRAGMA journal_mode = WAL")
            self._rows.execute("PRAGMA synchronous = NORMAL")
            self._rows.execute("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply BLOB NOT NULL)")
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"{self._path}: can't keep answers there ({error}); choose another cache folder") from None

    def get(self, key: bytes) -> ChatReply | None:
        """The answer under a key, without its cost; None if there is none."""
        with self._gone():
            row = self._rows.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return ChatReply(**orjson.loads(row[0])) if row else None

    def put(self, key: bytes, reply: ChatReply) -> None:
        """Keep an answer; an earlier one under the same key stays."""
        kept = {
            "message": reply.message,
            "finish_reason": reply.finish_reason,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
        }
        with self._gone():
            self._rows.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, orjson.dumps(kept)))

    @contextmanager
    def _gone(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutageError(f"{self._path}: can't keep answers there ({error}); free space, or delete it") from None

    def close(self) -> None:
        """Close the file."""
        self._rows.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
