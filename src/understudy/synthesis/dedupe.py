"""Questions that were asked before, or nearly so.

A near-duplicate has the same official answer as an earlier task, and their questions share most words (Jaccard
similarity). The answer has to agree because questions from one template differ in a name alone, and ask for something
else. Which earlier tasks are compared follows from a prefix filter (Chaudhuri et al. 2006): two sets as similar as
asked for share one of their first few words in any fixed order, so only tasks under the same first words are looked at.
Under the words of a template stand thousands of tasks: the latest of them are compared, and two words more than the
filter needs are looked up to make up for the rest.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from understudy.checks.text import words
from understudy.errors import InputError
from understudy.hashes import HashMap, Postings, hash64
from understudy.scoring import normalize
from understudy.task import Task

MAX_COMPARED = 64
"""Earlier tasks under one word and one answer that are compared, the latest first."""
EXTRA_WORDS = 2
"""Words looked up beyond the filter's."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A task that asked the same before.

    Attributes:
        task_id: which.
        similarity: 1 when the questions are equal up to ``scoring.normalize``, else the share of words they have in
            common.
    """

    task_id: str
    similarity: float


class Duplicates:
    """Finds tasks that ask what an earlier one asks.

    What counts is the order in which tasks are given, so the same tasks have the same duplicates in every run.

    Args:
        similarity: from which share of common words on a task with the same answer is a near-duplicate; 1 finds those
            alone that are equal up to ``scoring.normalize``.
    """

    def __init__(self, similarity: float = 1.0) -> None:
        self._similarity = similarity
        self._ids: list[str] = []
        self._by_id, self._by_question = HashMap(), HashMap()
        self._filed = Postings()
        # Of task n, hashes of its words lie at _starts[n] to _starts[n + 1].
        self._words, self._starts = array("I"), array("I", [0])

    def earlier(self, task: Task) -> Earlier | None:
        """The task that asked this question first, or None if this one does.

        Raises:
            InputError: the task's id was given before.
        """
        number = len(self._ids)
        if self._by_id.setdefault(hash64(task.id), number) != number:
            raise InputError(f"task id {task.id!r} appears twice in the questions; ids must be unique")
        self._ids.append(task.id)
        equal = self._by_question.setdefault(hash64(normalize(task.question)), number)
        if equal != number:
            found: Earlier | None = Earlier(self._ids[equal], 1.0)
        else:
            found = self._similar(task) if self._similarity < 1 else None
        if found is None and self._similarity < 1:
            self._add(task, number)
        self._starts.append(len(self._words))
        return found

    def _similar(self, task: Task) -> Earlier | None:
        mine = set(_word_hashes(task))
        best = Earlier("", 0.0)
        for key in self._keys(task):
            for other in islice(self._filed.under(key), MAX_COMPARED):
                theirs = self._words[self._starts[other] : self._starts[other + 1]]
                common = len(mine.intersection(theirs))
                similarity = common / (len(mine) + len(theirs) - common)
                if similarity >= max(self._similarity, best.similarity):
                    best = Earlier(self._ids[other], similarity)
        return best if best.task_id else None

    def _add(self, task: Task, number: int) -> None:
        self._words.extend(_word_hashes(task))
        for key in self._keys(task):
            self._filed.add(key, number)

    def _keys(self, task: Task) -> list[int]:
        """Hashes of the words under which a task is found, with its answer. Longer words come first: they are rarer."""
        ordered = sorted(_terms(task.question), key=lambda word: (-len(word), word))
        answer = normalize(task.answers[0])
        return [hash64(f"{word}\0{answer}") for word in ordered[: prefix(len(ordered), self._similarity) + EXTRA_WORDS]]


def prefix(size: int, share: float) -> int:
    """How many elements of a set of ``size`` one has to look up so as to miss no set that has ``share`` of them."""
    return size - math.ceil(share * size - 1e-9) + 1


def _word_hashes(task: Task) -> Iterator[int]:
    return (hash64(word) & 0xFFFFFFFF for word in _terms(task.question))


def _terms(question: str) -> set[str]:
    """The words of a question; of one that has hardly any, as in scripts without spaces, runs of three characters."""
    found = set(words(question))
    if len(found) >= 4:
        return found
    text = normalize(question)
    return {text[start : start + 3] for start in range(max(1, len(text) - 2))}
