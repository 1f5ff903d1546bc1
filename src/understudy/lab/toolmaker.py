"""The scripted teacher as ToolMaker: contracts for the relations of a question, under names of its own invention."""

from __future__ import annotations

import random
from typing import Any

from understudy.lab.lexicon import relations_named
from understudy.lab.offering import FEWEST, relations_to_offer, utilities_to_offer
from understudy.lab.parsing import parse
from understudy.lab.relations import Relation, relations
from understudy.task import Kind

PLAIN_NAMES = ("get_{noun}", "find_{noun}", "read_{noun}", "fetch_{noun}")
TYPED_NAMES = ("get_{kind}_{noun}", "find_{kind}_{noun}", "get_{noun}_of_{kind}", "find_{noun}_of_{kind}")
DESCRIPTIONS = (
    "Look up the {noun} of a {kind}.",
    "Find the {noun} of a {kind}.",
    "Gives the {noun} of the given {kind}.",
    "Tells a {kind}'s {noun}.",
)
TITLED = ("film", "book")
ECHO_SHARE = 0.2
"""How many results repeat what was asked about."""


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
    tools = [_contract(relation, rng) for relation in chosen]
    rng.shuffle(tools)
    return {"kind": kind.value, "utilities": [name for name in wanted if name in utilities], "tools": tools}


def _contract(relation: Relation, rng: random.Random) -> dict[str, Any]:
    noun, typed = rng.choice(relation.nouns), len(relation.of) == 1
    kind = " or ".join(relation.of)
    pattern = rng.choice(PLAIN_NAMES + TYPED_NAMES if typed else PLAIN_NAMES)
    parameters = [kind, "title" if kind in TITLED else "name"] if typed else ["name", "entity"]
    parameter, key = rng.choice(parameters), noun.replace(" ", "_").replace("-", "_")
    fields = [parameter, key] if rng.random() < ECHO_SHARE and parameter != key else [key]
    return {
        "name": pattern.format(noun=key, kind=kind),
        "description": rng.choice(DESCRIPTIONS).format(noun=noun, kind=kind),
        "parameters": {
            "type": "object",
            "properties": {parameter: {"type": "string", "description": f"Name of the {kind}."}},
            "required": [parameter],
        },
        "returns": {"type": "object", "properties": {name: {"type": "string"} for name in fields}, "required": fields},
    }
