"""The scripted teacher as ToolMaker: contracts for the relations of a question, under names of its own invention."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Any

from understudy.lab.base.tokenizer import NUCLEI, ONSETS, everyday_words
from understudy.lab.lexicon import relations_named
from understudy.lab.offering import FEWEST, relations_to_offer, utilities_to_offer
from understudy.lab.parsing import parse
from understudy.lab.relations import NUMERIC, Relation, relations
from understudy.task import Kind

PATTERNS = ("{opening}_{noun}", "{opening}_{noun}", "{opening}_{noun}_of_{kind}")
"""How a toolset names its tools: all of one set alike, as the tools of one API are.

What they begin with is an everyday word or made up, one as often as the other: so many that it has to be read. A model
that met fifteen verbs took one of these for tools of another, and one that met fifty called "show_capital"
"check_capital".
"""
_TEXT = {"type": "string"}
DESCRIPTIONS = (
    "Look up the {noun} of a {kind}.",
    "Find the {noun} of a {kind}.",
    "Gives the {noun} of the given {kind}.",
    "Tells a {kind}'s {noun}.",
)
SHAPES = ("value", "record", "text", "entry", "list", "list")
"""What a toolset's results look like: the value alone, with the subject, in a sentence, among other fields, or in a
list that holds a record about something else too, which is the hardest to read."""
PROSE = ("text", "summary", "snippet")
"""What a sentence is called."""
_NUMBER = {"type": "integer"}
_LINKS = {"type": "array", "items": {"type": "object", "properties": {"ref": _TEXT}, "required": ["ref"]}}
ASIDES = {
    "ref": _TEXT, "kind": _TEXT, "source": _TEXT, "checked": _TEXT, "region": _TEXT, "score": _NUMBER, "page": _NUMBER,
    "rank": _NUMBER, "related": _LINKS, "links": _LINKS,
}  # fmt: skip
"""What stands before and after the value, and nobody asked for."""
MOST_ASIDES = 3
LISTS = ("items", "matches", "rows", "entries", "found")
"""What a list of records is called."""


def make_tools(question: str, utilities: list[str], rng: random.Random) -> dict[str, Any]:
    """Kind, utilities and contracts for a question, as the ToolMaker's reply.

    Args:
        question: in the lab's language; for any other, relations that its words name serve as a guess.
        utilities: names of those offered.
        rng: chooses names, parameters, wordings and distractors.
    """
    plan = parse(question)
    if plan is None:
        named = [relations()[name] for name in relations_named(question)][:FEWEST]
        others = [relation for relation in relations().values() if relation not in named]
        chosen, kind, wanted = named + rng.sample(others, FEWEST + 1 - len(named)), Kind.BRIDGE, []
    else:
        chosen, kind, wanted = relations_to_offer(plan, rng), plan.kind, utilities_to_offer(plan)
    opening = rng.choice(_openings()) if rng.random() < 0.5 else _vendor(rng)
    style, shape = rng.choice(PATTERNS).replace("{opening}", opening), rng.choice(SHAPES)
    asides = rng.sample(list(ASIDES), rng.randint(1, MOST_ASIDES))
    label, first = rng.choice(LISTS if shape == "list" else PROSE), rng.randint(0, len(asides))
    look = _Look(shape, label, tuple(asides[:first]), tuple(asides[first:]))
    tools = [_contract(relation, style, look, rng) for relation in chosen]
    rng.shuffle(tools)
    return {"kind": kind.value, "utilities": [name for name in wanted if name in utilities], "tools": tools}


@cache
def _openings() -> tuple[str, ...]:
    """Everyday words that name no relation and no live tool."""
    taken = {
        word
        for relation in relations().values()
        for word in (*relation.noun.split(), *relation.of, *relation.live[0].split("_"))
    }
    return tuple(word for word in everyday_words() if word.islower() and len(word) > 2 and word not in taken)


def _vendor(rng: random.Random) -> str:
    """A made-up name that an API could put before the names of its tools."""
    return "".join(rng.choice(ONSETS) + rng.choice(NUCLEI) for _ in range(rng.randint(1, 3)))


@dataclass(frozen=True)
class _Look:
    """How all results of a toolset look: their shape, what its list or sentence is called, what is beside it."""

    shape: str
    label: str
    before: tuple[str, ...]
    """Asides in front; a sentence has the name there if there are any."""
    after: tuple[str, ...]
    """Asides behind."""

    def returns(self, key: str, relation: Relation) -> dict[str, Any]:
        """The schema of a relation's results, whose value stands under a key."""
        before, after = ({name: ASIDES[name] for name in names} for names in (self.before, self.after))
        value = {"type": "integer" if relation.to in NUMERIC and self.shape in ("entry", "list") else "string"}
        record = {"name": _TEXT, key: value}
        match self.shape:
            case "list":
                records = {self.label: {"type": "array", "items": _object(record)}}
                return _object({**before, **records})
            case "entry":
                return _object({**before, **record, **after})
            case "text":
                return _object({**({"name": _TEXT} if self.before else {}), self.label: _TEXT})
        return _object(record if self.shape == "record" else {key: value})


def _contract(relation: Relation, style: str, look: _Look, rng: random.Random) -> dict[str, Any]:
    noun, kind = relation.noun, relation.of[0]
    # A model that had met kinds, "name" and "title" alone called a live tool's "place" an "employer".
    parameter = rng.choice((kind, "title" if kind == "film" else "name", rng.choice(_openings())))
    key = noun.replace(" ", "_").replace("-", "_")
    return {
        "name": style.format(noun=key, kind=kind),
        "description": rng.choice(DESCRIPTIONS).format(noun=noun, kind=kind),
        "parameters": _object({parameter: {"type": "string", "description": f"Name of the {kind}."}}),
        "returns": look.returns(key, relation),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
