"""Passages as HotpotQA and 2WikiMultiHopQA give them: lists of pairs in the official files, columns on the Hub.

FlashRAG's columns name the sentences ``content``.
"""

from __future__ import annotations

from typing import Any

from understudy.readers.layout import Record, decoded
from understudy.task import Passage


def context_passages(record: Record) -> tuple[Passage, ...]:
    """The passages of ``context``, those that ``supporting_facts`` name marked as supporting.

    Raises:
        ValueError: one of the two fields has neither shape.
    """
    supporting = {title for title, _ in _pairs(record, "supporting_facts", "sent_id")}
    passages = []
    for title, sentences in _pairs(record, "context", "sentences", "content"):
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise ValueError("'context' must hold pairs of a title and its sentences")
        joined = " ".join(sentence.strip() for sentence in sentences if sentence.strip())
        passages.append(Passage(title=title, text=joined, supporting=title in supporting))
    return tuple(passages)


def _pairs(record: Record, key: str, *columns: str) -> list[tuple[str, Any]]:
    """Pairs of a title and whatever stands beside it, under the first of these ``columns`` where there are columns."""
    value = decoded(record.get(key) or [], key)
    if isinstance(value, dict):
        beside = next((value[column] for column in columns if isinstance(value.get(column), list)), None)
        titles = value.get("title")
        if isinstance(titles, list) and beside is not None:
            value = [list(pair) for pair in zip(titles, beside, strict=False)]
    if not isinstance(value, list) or not all(map(_is_pair, value)):
        raise ValueError(f"{key!r} must be a list of pairs, or an object of the lists 'title' and {columns[0]!r}")
    return [(pair[0], pair[1]) for pair in value]


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
