"""A layout: how to recognise the rows of one question set, and how to read a task from one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from understudy.task import Task

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """One question set's layout.

    Attributes:
        name: how users name it.
        matches: whether a file's first record has this layout.
        to_task: the task of a record, or None for a record that is no question to be asked. Raises ValueError with
            one line when the record is bad. ``id``, ``split`` and ``source`` stay empty where the record has none.
    """

    name: str
    matches: Callable[[Record], bool]
    to_task: Callable[[Record], Task | None]


def text(record: Record, *keys: str) -> str:
    """The first of these fields that is there, as text; numbers count as text.

    Raises:
        ValueError: none is there, it is empty, or it is not text.
    """
    for key in keys:
        value = record.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if value is None:
            continue
        if not isinstance(value, str):
            raise ValueError(f"{key!r} must be text, found {type(value).__name__}")
        if not value.strip():
            raise ValueError(f"{key!r} is empty")
        return value
    raise ValueError(f"no {' or '.join(map(repr, keys))}")


def optional_text(record: Record, *keys: str) -> str:
    """As ``text``, but empty when none of the fields is there."""
    return text(record, *keys) if any(record.get(key) not in (None, "") for key in keys) else ""


def text_list(record: Record, key: str) -> tuple[str, ...]:
    """A field as a tuple of texts: a list, JSON text of a list, or one text. Blank and repeated items are dropped.

    Raises:
        ValueError: the field is missing or holds anything else.
    """
    value = record.get(key)
    if isinstance(value, str) and value.startswith("["):
        with suppress(ValueError):  # an answer may also begin with a bracket
            value = decoded(value, key)
    items = value if isinstance(value, list) else [value]
    texts = tuple(dict.fromkeys(text({key: item}, key) for item in items if item != ""))
    if not texts:
        raise ValueError(f"{key!r} is empty")
    return texts


def decoded(value: Any, key: str) -> Any:
    """A nested value, which some exports hold as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{key!r} is not valid JSON ({error.msg})") from None


def made_id(task: Task) -> str:
    """A stable id for a task without one: it depends on the question and the answers, not on the place in a file."""
    content = "\0".join((task.question, *task.answers))
    return hashlib.sha256(content.encode()).hexdigest()[:16]
