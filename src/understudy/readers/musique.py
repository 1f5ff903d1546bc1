"""MuSiQue: paragraphs, and a decomposition into sub-questions in which ``#1`` stands for the first one's answer."""

from __future__ import annotations

from typing import Any

from understudy.readers.layout import Layout, Record, optional_text, text
from understudy.task import Evidence, Hop, Kind, Passage, Task


def _matches(record: Record) -> bool:
    return {"question", "paragraphs"} <= record.keys()


def _to_task(record: Record) -> Task | None:
    if record.get("answerable") is False:
        return None  # the "full" variant's contrast questions: their paragraphs lack the answer, so EM is undefined
    aliases = record.get("answer_aliases") or []
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise ValueError("'answer_aliases' must be a list of texts")
    passages = _passages(record.get("paragraphs"))
    hops = tuple(_hops(record.get("question_decomposition") or [], dict(passages)))
    return Task(
        id=optional_text(record, "id", "_id"),
        question=text(record, "question"),
        answers=tuple(dict.fromkeys((text(record, "answer"), *(alias for alias in aliases if alias.strip())))),
        kind=Kind.COMPOSITIONAL,
        hops=len(hops) or None,
        evidence=Evidence(passages=tuple(passage for _, passage in passages), hops=hops),
        source="musique",
    )


def _passages(paragraphs: Any) -> list[tuple[int, Passage]]:
    if not isinstance(paragraphs, list):
        raise ValueError("'paragraphs' must be a list")
    passages = []
    for position, paragraph in enumerate(paragraphs):
        if not isinstance(paragraph, dict):
            raise ValueError("'paragraphs' must hold objects")
        passage = Passage(
            title=text(paragraph, "title"),
            text=text(paragraph, "paragraph_text"),
            supporting=bool(paragraph.get("is_supporting")),
        )
        index = paragraph.get("idx", position)
        passages.append((index if isinstance(index, int) else position, passage))
    return passages


def _hops(decomposition: Any, passages: dict[int, Passage]) -> list[Hop]:
    if not isinstance(decomposition, list) or not all(isinstance(step, dict) for step in decomposition):
        raise ValueError("'question_decomposition' must be a list of objects")
    hops = []
    for step in decomposition:
        index = step.get("paragraph_support_idx")
        support = passages.get(index) if isinstance(index, int) else None
        title = support.title if support else ""
        hops.append(Hop(question=text(step, "question"), answer=text(step, "answer"), title=title))
    return hops


MUSIQUE = Layout("musique", _matches, _to_task)
