"""The user's own questions: ``question`` and ``answer`` or ``answers``, optionally ``id``; and tasks of a run."""

from __future__ import annotations

from understudy.contract import first_problem
from understudy.readers.layout import Layout, Record, optional_text, text, text_list
from understudy.task import Task


def _plain_matches(record: Record) -> bool:
    return "question" in record and bool({"answer", "answers"} & record.keys())


def _plain_to_task(record: Record) -> Task:
    return Task(
        id=optional_text(record, "id", "_id"),
        question=text(record, "question"),
        answers=text_list(record, "answers" if record.get("answers") is not None else "answer"),
    )


def _task_matches(record: Record) -> bool:
    return {"id", "question", "answers", "evidence", "split", "source"} <= record.keys()


def _task_to_task(record: Record) -> Task:
    try:
        return Task.model_validate(record)
    except ValueError as error:
        raise ValueError(first_problem(error)) from None


PLAIN = Layout("plain", _plain_matches, _plain_to_task)
TASK = Layout("task", _task_matches, _task_to_task)
