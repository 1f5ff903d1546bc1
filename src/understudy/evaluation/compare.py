"""Two results on the same questions: paired differences, and which questions changed sides.

``compare(sft, grpo).em`` is the gain of a stage, ``compare(simulated, live).em`` the simulated-to-live gap.
"""

from __future__ import annotations

from understudy.errors import InputError
from understudy.evaluation.result import Record, Result
from understudy.metric import Metric, paired_difference
from understudy.noun import Noun


class Flip(Noun):
    """A question that one result has right and the other wrong."""

    task_id: str
    question: str
    answers: tuple[str, ...]
    first: str | None
    second: str | None


class Comparison(Noun):
    """``em`` and ``f1`` are second − first, in [−1, 1]; ``gained`` turned right in the second, ``lost`` wrong."""

    em: Metric
    f1: Metric
    gained: tuple[Flip, ...]
    lost: tuple[Flip, ...]


def compare(first: Result, second: Result, seed: int = 0) -> Comparison:
    """Compare two results question by question.

    Args:
        first: the result to start from.
        second: the result that should differ.
        seed: of the bootstrap intervals.

    Raises:
        InputError: the results are not about the same questions, or were scored by different rules.
    """
    if [_question(record) for record in first.records] != [_question(record) for record in second.records]:
        shared = len(set(map(_question, first.records)) & set(map(_question, second.records)))
        raise InputError(
            f"compare: the results share {shared} questions of {len(first.records)} and {len(second.records)}; "
            "evaluate both on the same questions"
        )
    if first.rule is not second.rule:
        raise InputError(f"compare: one result is scored by {first.rule}, the other by {second.rule}; use one rule")
    pairs = list(zip(first.records, second.records, strict=True))
    return Comparison(
        em=paired_difference([a.em for a, _ in pairs], [b.em for _, b in pairs], seed),
        f1=paired_difference([a.f1 for a, _ in pairs], [b.f1 for _, b in pairs], seed),
        gained=tuple(_flip(a, b) for a, b in pairs if b.em and not a.em),
        lost=tuple(_flip(a, b) for a, b in pairs if a.em and not b.em),
    )


def _question(record: Record) -> tuple[str, str, tuple[str, ...]]:
    return record.task_id, record.question, record.answers


def _flip(first: Record, second: Record) -> Flip:
    return Flip(
        task_id=first.task_id,
        question=first.question,
        answers=first.answers,
        first=first.prediction,
        second=second.prediction,
    )
