"""The lab's relations, read from ``relations.toml``: their types, and every way in which they are worded."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import Field

from understudy.noun import Noun

NUMERIC = ("year", "quantity")
ORDERS = {"year": ("earlier", "later"), "quantity": ("smaller", "larger")}
"""How questions speak of less and of more."""
VALUES = ("year", "date", "quantity")
ENTITY_TYPES = ("person", "film", "city", "country", "company")


class Relation(Noun):
    """One relation; ``relations.toml`` says what the fields mean."""

    name: str
    of: tuple[str, ...]
    to: str
    noun: str
    wordings: tuple[str, ...] = Field(min_length=2)
    unit: str = ""
    share: float = 1.0
    live: tuple[str, str, str]


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("understudy.lab").joinpath("relations.toml").read_text(encoding="utf-8"))


@cache
def relations() -> dict[str, Relation]:
    """All relations by name."""
    return {name: Relation.model_validate({"name": name, **row}) for name, row in _table()["relation"].items()}


@cache
def compounds() -> dict[str, tuple[str, ...]]:
    """Nouns that stand for two relations: the names of both, the inner one first."""
    return {noun: tuple(names) for noun, names in _table()["compound"].items()}


@cache
def relations_of(kind: str) -> tuple[Relation, ...]:
    """The relations that an entity of this type can have."""
    return tuple(relation for relation in relations().values() if kind in relation.of)
