"""What tells one set of passages from another."""

from __future__ import annotations

import hashlib

from understudy.task import Passage


class Identity:
    """Number and digest of passages, in their order; ``14248:9f86d081`` as text."""

    def __init__(self) -> None:
        self.passages = 0
        self._digest = hashlib.sha256()

    def add(self, passage: Passage) -> None:
        """Count one more."""
        self.passages += 1
        self._digest.update(f"{passage.title}\0{passage.text}\0".encode(errors="surrogatepass"))

    def __str__(self) -> str:
        return f"{self.passages}:{self._digest.hexdigest()[:8]}"
