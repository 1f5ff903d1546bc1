"""Questions that were asked before."""

from __future__ import annotations

import hashlib

from understudy.errors import InputError
from understudy.scoring import normalize
from understudy.task import Task


class Duplicates:
    """Finds tasks whose question equals an earlier one up to ``scoring.normalize``.

    What counts is the order in which tasks are given, so the same tasks have the same duplicates in every run.
    """

    def __init__(self) -> None:
        self._first: dict[bytes, str] = {}
        self._ids: set[str] = set()

    def earlier(self, task: Task) -> str | None:
        """The id of the task that asked this question first, or None if this one does.

        Raises:
            InputError: the task's id was given before.
        """
        if task.id in self._ids:
            raise InputError(f"task id {task.id!r} appears twice in the questions; ids must be unique")
        self._ids.add(task.id)
        digest = hashlib.sha256(normalize(task.question).encode()).digest()[:16]
        first = self._first.setdefault(digest, task.id)
        return None if first == task.id else first
