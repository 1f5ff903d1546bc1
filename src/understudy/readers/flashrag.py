"""FlashRAG's common layout: id, question, golden_answers, metadata. Its ids start with the split: ``dev_17``."""

from __future__ import annotations

from understudy.readers.layout import Layout, Record, optional_text, text, text_list
from understudy.task import Task


def _matches(record: Record) -> bool:
    return {"question", "golden_answers"} <= record.keys()


def _to_task(record: Record) -> Task:
    identifier = optional_text(record, "id")
    split, separator, _ = identifier.partition("_")
    return Task(
        id=identifier,
        question=text(record, "question"),
        answers=text_list(record, "golden_answers"),
        split=split if separator and split in ("train", "dev", "test") else "",
    )


FLASHRAG = Layout("flashrag", _matches, _to_task)
