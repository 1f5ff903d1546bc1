"""HotpotQA, in the official distractor and fullwiki layout and as the Hub has it."""

from __future__ import annotations

from understudy.readers.layout import Layout, Record, optional_text, text
from understudy.readers.passages import context_passages
from understudy.task import Evidence, Kind, Task

_KINDS = {"bridge": Kind.BRIDGE, "comparison": Kind.COMPARISON}


def _matches(record: Record) -> bool:
    return {"question", "context", "supporting_facts"} <= record.keys()


def _to_task(record: Record) -> Task:
    return Task(
        id=optional_text(record, "_id", "id"),
        question=text(record, "question"),
        answers=(text(record, "answer"),),
        kind=_KINDS.get(optional_text(record, "type")),
        hops=2,
        evidence=Evidence(passages=context_passages(record)),
        source="hotpotqa",
    )


HOTPOTQA = Layout("hotpotqa", _matches, _to_task)
