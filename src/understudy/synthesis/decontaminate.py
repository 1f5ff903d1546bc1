"""Tasks that are rows of a benchmark's dev or test split, word for word or nearly so.

A task is contaminated when its question equals a benchmark question up to ``scoring.normalize``, when it contains all
runs of five words of one, or when it contains a large share of them and has an answer in common with it. The answer
counts in the last case alone: benchmarks are full of templates, and "What nationality is the director of film X?" is
another question for another X.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from understudy.checks.text import words
from understudy.errors import InputError
from understudy.hashes import HashMap, Postings, hash64
from understudy.readers import read_tasks
from understudy.scoring import normalize
from understudy.synthesis.dedupe import prefix
from understudy.task import Task

RUN = 5
"""Words of one n-gram. With more, "What is the place of birth of the director of film X?" has few that name no film."""
TRAIN = "train"


class Benchmarks:
    """Dev and test rows of benchmarks; rows of train splits are passed over.

    Args:
        rows: benchmark rows of any split.
        share: the share of a benchmark question's runs of words from which on a task with its answer is contaminated.
    """

    def __init__(self, rows: Iterable[Task], share: float) -> None:
        self._share = share
        self._names: list[str] = []
        self._by_question, self._answers = HashMap(), HashMap()
        # Of row n, hashes of its runs lie at _starts[n] to _starts[n + 1].
        self._runs, self._starts = array("Q"), array("I", [0])
        for row in rows:
            if row.split == TRAIN:
                continue
            number = len(self._names)
            self._names.append(f"{row.id} of {row.source}" if row.source else row.id)
            self._by_question.setdefault(hash64(normalize(row.question)), number)
            for answer in row.answers:
                self._answers[_answer_key(number, answer)] = 1
            self._runs.extend(_runs(row.question))
            self._starts.append(len(self._runs))
        self._index()

    @classmethod
    def read(cls, sources: Iterable[str], share: float) -> Benchmarks:
        """Read benchmark rows.

        Args:
            sources: question files, folders of them, or ``hf:NAME[:CONFIG][@SPLIT]``.
            share: as for the class.

        Raises:
            InputError: one can't be read, or holds train rows alone.
        """
        return cls((row for source in sources for row in _dev_and_test(source)), share)

    def __len__(self) -> int:
        return len(self._names)

    def contaminating(self, task: Task) -> str | None:
        """What the task repeats, as one line: ``asks the same as dev_12 of musique``; None if it repeats nothing."""
        if (equal := self._by_question.get(hash64(normalize(task.question)))) is not None:
            return f"asks the same as {self._names[equal]}"
        mine = set(_runs(task.question))
        for row in sorted({row for run in mine for row in self._filed.under(run)}):
            theirs = self._runs_of(row)
            found = len(mine.intersection(theirs))
            answered = any(_answer_key(row, answer) in self._answers for answer in task.answers)
            if found == len(theirs) or (found >= self._share * len(theirs) and answered):
                return f"has {found} of {len(theirs)} runs of {RUN} words of {self._names[row]}"
        return None

    def _index(self) -> None:
        """File every row under its rarest runs, as few as find it whenever enough of them occur (a prefix filter)."""
        often = HashMap()
        for run in self._runs:
            often[run] = (often.get(run) or 0) + 1
        self._filed = Postings()
        for row in range(len(self._names)):
            runs = sorted(self._runs_of(row), key=lambda run: (often.get(run), run))
            for run in runs[: prefix(len(runs), self._share)]:
                self._filed.add(run, row)

    def _runs_of(self, row: int) -> array[int]:
        return self._runs[self._starts[row] : self._starts[row + 1]]


def _dev_and_test(source: str) -> Iterator[Task]:
    folder = Path(source)
    paths = [source]
    if folder.is_dir():
        paths = sorted(str(path) for path in folder.rglob("*") if path.name.endswith(_QUESTION_FILES))
        if not paths:
            raise InputError(f"{source}: no question file in this folder")
    useful = False
    for path in paths:
        for row in read_tasks(path):
            useful = useful or row.split != TRAIN
            yield row
    if not useful:
        raise InputError(f"{source}: holds train rows alone; benchmarks are dev and test rows")


_QUESTION_FILES = tuple(f"{ending}{zipped}" for ending in (".jsonl", ".json", ".csv") for zipped in ("", ".gz"))


def _runs(question: str) -> list[int]:
    """Hashes of the distinct runs of ``RUN`` words; a shorter question is one run."""
    said = words(question)
    last = max(1, len(said) - RUN + 1)
    return sorted({hash64(" ".join(said[start : start + RUN])) for start in range(last)})


def _answer_key(row: int, answer: str) -> int:
    return hash64(f"{row}\0{normalize(answer)}")
