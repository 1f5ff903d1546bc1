"""FlashRAG's common layout: id, question, golden_answers, metadata. Its ids start with the split: ``dev_17``.

``metadata`` keeps what the official row had beside question and answer (passages, supporting facts, the kind of
question); where it has an official layout, it is read as that.
"""

from __future__ import annotations

from typing import Any

from understudy.readers.hotpotqa import HOTPOTQA
from understudy.readers.layout import Layout, Record, decoded, optional_text, text, text_list
from understudy.readers.musique import MUSIQUE
from understudy.readers.wiki2 import WIKI2
from understudy.task import Task


def _matches(record: Record) -> bool:
    return {"question", "golden_answers"} <= record.keys()


def _to_task(record: Record) -> Task | None:
    identifier, answers = optional_text(record, "id"), text_list(record, "golden_answers")
    split, separator, _ = identifier.partition("_")
    task = Task(
        id=identifier,
        question=text(record, "question"),
        answers=answers,
        split=split if separator and split in ("train", "dev", "test") else "",
    )
    official = _metadata(record) | {"question": task.question, "answer": answers[0]}
    for layout in (WIKI2, HOTPOTQA, MUSIQUE):
        if layout.matches(official):
            known = layout.to_task(official)
            # Which set it is stands in the file's name: passages alone look alike in HotpotQA and 2WikiMultiHopQA.
            ours = {"id": task.id, "answers": answers, "split": task.split, "source": ""}
            return known and known.model_copy(update=ours)
    return task


def _metadata(record: Record) -> dict[str, Any]:
    metadata = decoded(record.get("metadata") or {}, "metadata")
    return metadata if isinstance(metadata, dict) else {}


FLASHRAG = Layout("flashrag", _matches, _to_task)
