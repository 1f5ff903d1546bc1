"""2WikiMultiHopQA: HotpotQA's layout with ``evidences``, the triples of which the reasoning consists."""

from __future__ import annotations

from typing import Any

from understudy.readers.layout import Layout, Record, decoded, optional_text, text
from understudy.readers.passages import context_passages
from understudy.task import Evidence, Fact, Kind, Task

_KINDS = {
    "compositional": Kind.COMPOSITIONAL,
    "inference": Kind.COMPOSITIONAL,
    "comparison": Kind.COMPARISON,
    "bridge_comparison": Kind.BRIDGE_COMPARISON,
}


def _matches(record: Record) -> bool:
    return {"question", "context", "evidences"} <= record.keys()


def _to_task(record: Record) -> Task:
    facts = tuple(_facts(decoded(record.get("evidences") or [], "evidences")))
    return Task(
        id=optional_text(record, "_id", "id"),
        question=text(record, "question"),
        answers=(text(record, "answer"),),
        kind=_KINDS.get(optional_text(record, "type")),
        hops=len(facts) or None,
        evidence=Evidence(passages=context_passages(record), facts=facts),
        source="2wikimultihopqa",
    )


def _facts(evidences: Any) -> list[Fact]:
    if isinstance(evidences, dict):  # columns: subjects under "fact", objects under "entity"
        columns = [evidences.get(key) for key in ("fact", "relation", "entity")]
        if not all(isinstance(column, list) for column in columns):
            raise ValueError("'evidences' must have the lists 'fact', 'relation' and 'entity'")
        evidences = [list(triple) for triple in zip(*columns, strict=False)]
    if not isinstance(evidences, list):
        raise ValueError("'evidences' must be a list of triples")
    facts = []
    for triple in evidences:
        if not isinstance(triple, list) or len(triple) != 3 or not all(isinstance(part, str) for part in triple):
            raise ValueError("'evidences' must be triples of texts: subject, relation, object")
        facts.append(Fact(subject=triple[0].strip(), relation=triple[1].strip(), object=triple[2].strip()))
    return facts


WIKI2 = Layout("2wikimultihopqa", _matches, _to_task)
