"""Bamboogle: a question and its answer, under capitalised names."""

from __future__ import annotations

from understudy.readers.layout import Layout, Record, optional_text, text
from understudy.task import Kind, Task


def _matches(record: Record) -> bool:
    return {"Question", "Answer"} <= record.keys()


def _to_task(record: Record) -> Task:
    return Task(
        id=optional_text(record, "id"),
        question=text(record, "Question"),
        answers=(text(record, "Answer"),),
        kind=Kind.COMPOSITIONAL,
        hops=2,
        source="bamboogle",
    )


BAMBOOGLE = Layout("bamboogle", _matches, _to_task)
