"""Example questions for the report: what GRPO gained, what it lost, and what is still wrong, side by side.

The choice is the same for the same results, and shows defeats along with victories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from understudy.evaluation.mistakes import MEANING, diagnose
from understudy.evaluation.result import Record, Result
from understudy.report.model import Attempt, Example, Stage
from understudy.reward.composite import Reward
from understudy.task import Task
from understudy.trace import Trace

_Row = dict[Stage, Record]

GAINED, BOTH, LOST, WRONG = 3, 1, 1, 3
"""How many examples of each sort are shown at most."""


def pick_examples(
    results: Mapping[Stage, Result], tasks: Mapping[str, Task], reward: Callable[[Trace, Task], Reward]
) -> tuple[Example, ...]:
    """Choose example questions from the results of the three stages.

    Args:
        results: by stage, on the same questions, traces kept.
        tasks: by id.
        reward: what a trace of a task is worth.
    """
    rows = [
        dict(zip(Stage, records, strict=True))
        for records in zip(*(results[stage].records for stage in Stage), strict=True)
    ]
    gained = (row for row in rows if row[Stage.GRPO].em and not row[Stage.SFT].em)
    both = (row for row in rows if row[Stage.GRPO].em and row[Stage.SFT].em)
    lost = (row for row in rows if row[Stage.SFT].em and not row[Stage.GRPO].em)
    wrong = (row for row in rows if not row[Stage.GRPO].em and not row[Stage.SFT].em)
    sorts = (
        ("GRPO turned it right", _varied(gained, lambda row: row[Stage.GRPO].kind, GAINED)),
        ("right since SFT", _varied(both, lambda row: row[Stage.GRPO].kind, BOTH)),
        ("GRPO turned it wrong", _varied(lost, lambda row: row[Stage.GRPO].kind, LOST)),
        ("still wrong", _varied(wrong, lambda row: _mistake(row[Stage.GRPO], tasks), WRONG)),
    )
    return tuple(_example(shows, row, tasks, reward) for shows, chosen in sorts for row in chosen)


def _varied(rows: Iterable[_Row], trait: Callable[[_Row], object], limit: int) -> Iterator[_Row]:
    """The first rows that differ from each other in a trait."""
    seen: set[object] = set()
    for row in rows:
        if len(seen) < limit and trait(row) not in seen:
            seen.add(trait(row))
            yield row


def _example(shows: str, row: _Row, tasks: Mapping[str, Task], reward: Callable[[Trace, Task], Reward]) -> Example:
    last = row[Stage.GRPO]
    if not last.em:
        shows = f"{shows}: {_mistake(last, tasks)}"
    return Example(
        task_id=last.task_id,
        question=last.question,
        answers=last.answers,
        kind=last.kind,
        hops=last.hops,
        shows=shows,
        attempts=tuple(
            Attempt(
                stage=stage,
                steps=record.trace.steps,
                stop=record.stop,
                detail=record.detail,
                answer=record.prediction,
                right=record.em,
                reward=reward(record.trace, tasks[record.task_id]),
            )
            for stage, record in row.items()
            if record.trace is not None
        ),
    )


def _mistake(record: Record, tasks: Mapping[str, Task]) -> str:
    return MEANING[diagnose(record.trace, tasks[record.task_id])] if record.trace is not None else ""
