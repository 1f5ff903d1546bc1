"""What a tool's result says about a relation of a subject, whatever the result's shape.

Values stand under keys that name the relation, in lists of hits about several subjects, or in sentences. Nothing here
trusts a result: anything unexpected is simply not understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from understudy.lab.documents import read
from understudy.lab.lexicon import relation_named

NAMES = ("name", "title")
"""Keys that hold what a record is about."""
LIVE_KEYS = ("id", "type", "see_also", "see", "also", "total", "hits", "unit", "extract", "results", "snippet")
"""Other keys of live results, and words of these. No simulated result has them: a model meets them live."""
SENTENCE = "In a sentence."
"""How a contract describes a field that speaks."""
MAX_RECORDS = 64


def value_in(content: Any, relation: str, subject: str) -> str | None:
    """The object of a relation of a subject, or None if the result does not say."""
    records = [record for record in _records(content) if (_about(record) or subject).casefold() == subject.casefold()]
    for record in records:
        for key, value in record.items():
            if relation_named(key) == relation and (text := _text(value)):
                return text
        for name, stated in _stated(record, _about(record) or subject):
            if name == relation:
                return stated
    for record in records:  # one value alone, whatever it is called
        others = [text for key, value in record.items() if key not in NAMES and (text := _text(value))]
        others = [text for text in others if text.casefold() != subject.casefold()]
        nested = any(isinstance(value, dict | list) for value in record.values())
        if _about(record) is None and not nested and len(others) == 1:
            return others[0]
    return None


def _about(record: dict[str, Any]) -> str | None:
    """The name of what a record is about, where it says."""
    return next((record[key] for key in NAMES if isinstance(record.get(key), str)), None)


def statements_in(content: Any) -> Iterator[tuple[str, str, str]]:
    """Subject, relation and object of everything that titled texts in a result state."""
    for record in _records(content):
        about = record.get("title")
        if isinstance(about, str):
            for relation, value in _stated(record, about):
                yield about, relation, value


def _records(content: Any) -> Iterator[dict[str, Any]]:
    stack, seen = [content], 0
    while stack and seen < MAX_RECORDS:
        item = stack.pop()
        if isinstance(item, dict):
            seen += 1
            yield item
            stack.extend(value for value in reversed(item.values()) if isinstance(value, dict | list))
        elif isinstance(item, list):
            stack.extend(reversed(item[:MAX_RECORDS]))


def _stated(record: dict[str, Any], about: str) -> list[tuple[str, str]]:
    texts = [value for key, value in record.items() if key not in NAMES and isinstance(value, str)]
    return [(fact.relation, fact.object) for text in texts for fact in read(about, text)]


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(str(value).split())
