"""One schema for samples of all four benchmarks: dataset, answers, type, hops, supporting titles, split."""

from __future__ import annotations

from understudy.readers.layout import Layout, Record, optional_text, text, text_list
from understudy.task import Evidence, Kind, Passage, Task

_KINDS = {
    "bridge": Kind.BRIDGE,
    "comparison": Kind.COMPARISON,
    "bridge_comparison": Kind.BRIDGE_COMPARISON,
    "compositional": Kind.COMPOSITIONAL,
    "inference": Kind.COMPOSITIONAL,
}


def _matches(record: Record) -> bool:
    return {"question", "answers", "dataset"} <= record.keys()


def _to_task(record: Record) -> Task:
    kind, hops = optional_text(record, "type"), record.get("hops")
    if hops is not None and not isinstance(hops, int):
        raise ValueError(f"'hops' must be a whole number, found {type(hops).__name__}")
    source = text(record, "dataset")
    titles = text_list(record, "supporting") if record.get("supporting") else ()
    # MuSiQue names the shape of its reasoning graph, such as 3hop1.
    known = Kind.COMPOSITIONAL if source == "musique" and kind else _KINDS.get(kind)
    return Task(
        id=optional_text(record, "id"),
        question=text(record, "question"),
        answers=text_list(record, "answers"),
        kind=known,
        hops=hops,
        evidence=Evidence(passages=tuple(Passage(title=title, text="", supporting=True) for title in titles)),
        split=optional_text(record, "split"),
        source=source,
    )


SAMPLE = Layout("sample", _matches, _to_task)
