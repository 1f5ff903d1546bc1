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
from understudy.lab.results import LIVE_KEYS, NAMES, SENTENCE
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
SHAPES = ("record", "text", "text", "entry", "entry", "list", "list", "list")
"""What a toolset's results look like: the value with the subject, in a sentence, among other fields, or in a list that
holds a record about something else too, which is the hardest to read and therefore the most frequent."""
PROSE = ("text", "summary")
"""What a sentence is often called."""
LISTS = ("items", "matches", "rows", "entries", "found")
"""What a list of records is often called."""
_NUMBER = {"type": "integer"}
ASIDES = (1, 1, 2, 3)
"""How many fields of a result nobody asked for. Any word can name them."""
USUAL = 0.5
"""How often a label is one of the usual ones, and not any word. A model that had met three words for a sentence read
the sentence behind a fourth wrongly, on one seed every other time."""


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
    opening = draw_opening(rng)
    style = rng.choice(PATTERNS).replace("{opening}", opening)
    look = _look(rng)
    tools = [_contract(relation, style, look, rng) for relation in chosen]
    rng.shuffle(tools)
    return {"kind": kind.value, "utilities": [name for name in wanted if name in utilities], "tools": tools}


@cache
def any_words() -> tuple[str, ...]:
    """Everyday words that name no relation, no live tool and nothing in a live result."""
    taken = {*NAMES, *LIVE_KEYS} | {
        word
        for relation in relations().values()
        for word in (*relation.noun.split(), *relation.of, *relation.live[0].split("_"))
    }
    return tuple(word for word in everyday_words() if word.islower() and len(word) > 2 and word not in taken)


def draw_opening(rng: random.Random) -> str:
    """What the names of an API's tools begin with: any word, or a made-up one."""
    if rng.random() < 0.5:
        return rng.choice(any_words())
    return "".join(rng.choice(ONSETS) + rng.choice(NUCLEI) for _ in range(rng.randint(1, 2)))


@dataclass(frozen=True)
class _Look:
    """How all results of a toolset look: their shape, what its list or sentence is called, what is beside it."""

    shape: str
    subject: str
    """The key of what a record is about."""
    label: str
    before: dict[str, Any]
    """Asides in front; a sentence has the subject there if there are any."""
    after: dict[str, Any]
    """Asides behind."""

    def returns(self, key: str, relation: Relation) -> dict[str, Any]:
        """The schema of a relation's results, whose value stands under a key."""
        value = {"type": "integer" if relation.to in NUMERIC and self.shape in ("entry", "list") else "string"}
        record = {self.subject: _TEXT, key: value}
        match self.shape:
            case "list":
                records = {self.label: {"type": "array", "items": _object(record)}}
                return _object({**self.before, **records})
            case "entry":
                return _object({**self.before, **record, **self.after})
            case "text":
                spoken = {self.label: {**_TEXT, "description": SENTENCE}}
                return _object({**({self.subject: _TEXT} if self.before else {}), **spoken})
        return _object(record)


def _look(rng: random.Random) -> _Look:
    shape = rng.choice(SHAPES)
    label, key, *names = rng.sample(any_words(), 2 + rng.choice(ASIDES))
    if rng.random() < USUAL:
        label = rng.choice(LISTS if shape == "list" else PROSE)
    links = {"type": "array", "items": _object({key: _TEXT})}
    asides = [(name, rng.choice((_TEXT, _TEXT, _NUMBER, links))) for name in names if name != label]
    first = rng.randint(0, len(asides))
    return _Look(shape, rng.choice(NAMES), label, dict(asides[:first]), dict(asides[first:]))


def _contract(relation: Relation, style: str, look: _Look, rng: random.Random) -> dict[str, Any]:
    noun, kind = relation.noun, relation.of[0]
    # A model that had met kinds, "name" and "title" alone called a live tool's "place" an "employer".
    parameter = rng.choice((kind, "title" if kind == "film" else "name", rng.choice(any_words())))
    key = noun.replace(" ", "_").replace("-", "_")
    return {
        "name": style.format(noun=key, kind=kind),
        "description": rng.choice(DESCRIPTIONS).format(noun=noun, kind=kind),
        "parameters": _object({parameter: {"type": "string", "description": f"Name of the {kind}."}}),
        "returns": look.returns(key, relation),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
