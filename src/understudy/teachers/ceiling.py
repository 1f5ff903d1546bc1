"""Policies that look at what annotators know: they measure scorers and searches, never a model.

``GoldPolicy`` has to score EM 1, or the scorer is broken. ``SupportPolicy`` is the ceiling of a search: it asks for
exactly the passages that annotators needed, so what it misses no policy can find with this search.
"""

from __future__ import annotations

from collections.abc import Sequence

from understudy.checks.grounding import CLOSED
from understudy.checks.text import Seen
from understudy.contract import ToolContract
from understudy.scoring import normalize
from understudy.task import Task
from understudy.teachers.played import Play, Played, answering, passages, require_search, searching

UNKNOWN = "unknown"


class GoldPolicy:
    """Gives the first accepted answer, and calls nothing."""

    name = "gold"

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> Played:
        """Start a rollout."""
        return Played(_say(task.answers[0]))


class SupportPolicy:
    """Searches for the titles of the passages that annotators needed, then for the question.

    It answers right if what it was shown says the answer; for a yes or no, or an answer that the question names, if
    all those passages were shown. Without known titles it has the question alone.
    """

    name = "supports"

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> Played:
        """Start a rollout.

        Raises:
            ModelError: there is no search.
        """
        require_search(toolset)
        return Played(_look_up(task))


def _say(answer: str) -> Play:
    yield answering(answer)


def _look_up(task: Task) -> Play:
    titles = list(dict.fromkeys(passage.title for passage in task.evidence.passages if passage.supporting))
    needed = set(map(normalize, titles))
    question, shown, found = Seen(), Seen(), set[str]()
    question.add(task.question)
    for number, queries in enumerate(filter(None, (titles, [task.question]))):
        observations = yield searching(number, "", queries)
        for title, text in passages(observations):
            found.add(normalize(title))
            shown.add([title, text])
        complete = bool(needed) and needed <= found
        if _follows(task, question, shown, complete):
            yield answering(task.answers[0])
    yield answering(UNKNOWN)


def _follows(task: Task, question: Seen, shown: Seen, complete: bool) -> bool:
    """Whether an answer can be read from what was shown, or worked out from all of it."""
    return any(
        complete if normalize(answer) in CLOSED or question.says(answer) else shown.says(answer)
        for answer in task.answers
    )
