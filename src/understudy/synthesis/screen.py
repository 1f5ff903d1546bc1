"""Which tasks get no rollout: those that were asked before, and those that a benchmark asks."""

from __future__ import annotations

from understudy.synthesis.audit import AuditSettings, Finding, Reason
from understudy.synthesis.decontaminate import Benchmarks
from understudy.synthesis.dedupe import Duplicates
from understudy.task import Task


class Screen:
    """Judges tasks before anything is spent on them. Every task of a run passes it once, in the order of the questions.

    Args:
        settings: what counts as a duplicate, and which benchmarks there are.

    Raises:
        InputError: a benchmark file can't be read, or holds train rows alone.
    """

    def __init__(self, settings: AuditSettings) -> None:
        self._ignored = frozenset(settings.ignore)
        near = 1.0 if Reason.NEAR_DUPLICATE in self._ignored else settings.similarity
        self._duplicates = Duplicates(near)
        self._benchmarks = Benchmarks.read(settings.benchmarks, settings.overlap)

    def refusal(self, task: Task) -> Finding | None:
        """Why the task is refused; None if it may be rolled out.

        Raises:
            InputError: the task's id was given before.
        """
        earlier = self._duplicates.earlier(task)
        if (repeats := self._benchmarks.contaminating(task)) and Reason.CONTAMINATED not in self._ignored:
            return Finding(Reason.CONTAMINATED, repeats)
        if earlier is None or (Reason.DUPLICATE in self._ignored and earlier.similarity == 1):
            return None
        if earlier.similarity == 1:
            return Finding(Reason.DUPLICATE, f"asks the same as {earlier.task_id}")
        return Finding(Reason.NEAR_DUPLICATE, f"{earlier.similarity:.2f} alike with {earlier.task_id}")
