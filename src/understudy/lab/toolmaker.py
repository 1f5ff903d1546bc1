"""The scripted teacher as ToolMaker: contracts for the relations of a question, under names of its own invention."""

from __future__ import annotations

import random
from typing import Any

from understudy.lab.lexicon import relations_named
from understudy.lab.offering import FEWEST, relations_to_offer, utilities_to_offer
from understudy.lab.parsing import parse
from understudy.lab.relations import Relation, relations
from understudy.task import Kind

VERBS = (
    "get", "find", "read", "fetch", "look_up", "list", "open", "check", "take", "trace", "give", "seek", "tell", "name",
    "report",
)  # fmt: skip
PATTERNS = ("{verb}_{noun}", "{verb}_{noun}", "{verb}_{noun}_of_{kind}")
"""How a toolset names its tools: all of one set alike, as the tools of one API are.

There are so many verbs that it pays to read them: a model that met only four took one of these for tools of any other.
"""
DESCRIPTIONS = (
    "Look up the {noun} of a {kind}.",
    "Find the {noun} of a {kind}.",
    "Gives the {noun} of the given {kind}.",
    "Tells a {kind}'s {noun}.",
)
SHAPES = (("{key}",), ("{key}",), ("name", "{key}"), ("text",))
"""Keys of a toolset's results: the value alone, a record of the subject, a sentence."""
USUAL = 0.7
"""How many tools are named after the first noun of their relation."""


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
    style, shape = rng.choice(PATTERNS).replace("{verb}", rng.choice(VERBS)), rng.choice(SHAPES)
    tools = [_contract(relation, style, shape, rng) for relation in chosen]
    rng.shuffle(tools)
    return {"kind": kind.value, "utilities": [name for name in wanted if name in utilities], "tools": tools}


def _contract(relation: Relation, style: str, shape: tuple[str, ...], rng: random.Random) -> dict[str, Any]:
    noun = relation.nouns[0] if rng.random() < USUAL else rng.choice(relation.nouns)
    kind = relation.of[0]
    parameter = rng.choice((kind, "title" if kind == "film" else "name"))
    key = noun.replace(" ", "_").replace("-", "_")
    return {
        "name": style.format(noun=key, kind=kind),
        "description": rng.choice(DESCRIPTIONS).format(noun=noun, kind=kind),
        "parameters": _object({parameter: {"type": "string", "description": f"Name of the {kind}."}}),
        "returns": _object({name.format(key=key): {"type": "string"} for name in shape}),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
