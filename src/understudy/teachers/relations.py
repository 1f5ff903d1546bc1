"""Relations of which look-up tools are made, and the open questions that no relation covers.

``relations.toml`` lists them: about a hundred, so that tools repeat over tasks as a library's do. A relation that is
not listed (annotators used some hundred properties of Wikidata) becomes a tool under its own name. A sub-question that
asks for no listed relation goes to one of five open tools, by what kind of thing it asks for.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

MAX_NAME = 48


@lru_cache(maxsize=4096)
def identifier(name: str) -> str:
    """A name in words as an identifier."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Relation:
    """What one kind of look-up gives.

    Attributes:
        name: in words, such as ``place of birth``; facts carry it.
        of: what it is looked up for; names the tool's parameter. ``question`` for an open tool.
        what: how it is said of X.
        family: relations of one family are easily taken for each other.
    """

    name: str
    of: str = "entity"
    what: str = ""
    family: str = ""

    @property
    def key(self) -> str:
        """The name as an identifier: the key of a tool's result, and the tail of its name."""
        return identifier(self.name)

    @property
    def open(self) -> bool:
        """Whether its tool takes a question."""
        return self.of == "question"

    def said_of(self, subject: str) -> str:
        """The relation of a subject in words: ``the place of birth of Ann Ash``."""
        before, _, after = (self.what or f"the {self.name} of X").partition("X")
        return f"{before}{subject}{after}"


OPEN = {
    kind: Relation(kind, of="question", what=what)
    for kind, what in {
        "person": "the person or group that a question asks for: who did, made, leads or plays something",
        "place": "the place that a question asks for: where something is or was, in what country, state or city",
        "date": "the date or year that a question asks for: when something began, happened or ended",
        "quantity": "the number or amount that a question asks for: how many, how much, how long or how large",
        "information": "what a question asks for: what something is, has or is called",
    }.items()
}
"""The open tools, for sub-questions that no relation covers."""

_OPEN_WORDS = {
    "date": r"when\b|(in |on |since )?(what|which) (year|date|day|month|century|decade)\b",
    "person": r"who\b|whom\b|by whom\b",
    "quantity": r"how (many|much|long|far|old|big|large|tall|high|deep|fast)\b"
    r"|(what|which) (is the |was the )?(percent|percentage|number|amount|population|distance|length|height)\b",
    "place": r"where\b|(in |at |on )?(what|which) (city|country|state|county|place|town|continent|region|district)\b",
}
_OPEN_PATTERNS = [(OPEN[kind], re.compile(pattern, re.IGNORECASE)) for kind, pattern in _OPEN_WORDS.items()]


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("understudy.teachers").joinpath("relations.toml").read_text(encoding="utf-8"))


@cache
def listed() -> tuple[Relation, ...]:
    """All relations of the table."""
    return tuple(
        Relation(name, entry["of"], entry.get("what", ""), entry.get("family", "")) for name, entry in _table().items()
    )


@cache
def _by_annotation() -> dict[str, Relation]:
    named = {relation.name: relation for relation in listed()}
    return named | {other: named[name] for name, entry in _table().items() for other in entry.get("also", ())}


def annotated(text: str) -> Relation | None:
    """The relation that annotations call ``text``; None when nothing in it can be a name."""
    plain = " ".join(re.findall(r"[a-z0-9]+", text.lower()))[:MAX_NAME].strip()
    if known := _by_annotation().get(text.strip().lower()) or _by_annotation().get(plain):
        return known
    return Relation(plain) if plain[:1].isalpha() else None


@cache
def _forms() -> tuple[tuple[re.Pattern[str], Relation], ...]:
    return tuple(
        (re.compile(re.sub(r"\bX\b", "(?P<x>.+?)", form, count=1), re.IGNORECASE), relation)
        for relation in listed()
        for form in _table()[relation.name].get("asks", ())
    )


@lru_cache(maxsize=4096)
def asked(question: str) -> tuple[tuple[Relation, str], ...]:
    """Readings of a sub-question as a relation of a name, in the table's order; empty when it is open."""
    found = ((relation, form.fullmatch(question)) for form, relation in _forms())
    return tuple((relation, match["x"]) for relation, match in found if match)


def open_relation(question: str) -> Relation:
    """The open tool for a question, by its first words."""
    return next((relation for relation, pattern in _OPEN_PATTERNS if pattern.match(question)), OPEN["information"])
