"""The scripted teacher as ToolActor and as FactDrafter: results worded from facts, facts read from prose."""

from __future__ import annotations

import random
import string
from typing import Any

from understudy.lab.documents import read, sentence
from understudy.lab.lexicon import relation_named, words
from understudy.lab.mistakes import Mistakes, corrupted, mistaken
from understudy.lab.names import SPLITS, inventories, split_of
from understudy.lab.parsing import parse
from understudy.lab.relations import ENTITY_TYPES, VALUES, Relation, relations, relations_of
from understudy.lab.results import NAMES, SENTENCE
from understudy.lab.universe import BORN, draw_value
from understudy.schema import dumps
from understudy.task import Fact
from understudy.trace import Status

OTHERS = 0.7
"""How often a list of records holds one about something else."""
MISSES = ("no record of {}", "nothing found for {}", "{} is not known here", "unknown name {}")
"""What a tool says that finds nothing."""


def act_tool(payload: dict[str, Any], mistakes: Mistakes, corrupt: float, rng: random.Random) -> str:
    """The content of the ToolActor's reply to one call.

    Args:
        payload: tool, arguments and facts, as the ToolActor's user message has them.
        mistakes: how often to err.
        corrupt: share of facts that are answered wrongly, always in the same way.
        rng: of mistakes.
    """
    tool, arguments = payload["tool"], payload["arguments"]
    relation = relation_named(tool["name"]) or relation_named(tool["description"])
    subject = next((value for value in arguments.values() if isinstance(value, str)), "")
    known = next(
        (
            Fact(**fact)
            for fact in payload["facts"]
            if fact["subject"].casefold() == subject.casefold() and _same(fact["relation"], relation, tool["name"])
        ),
        None,
    )
    if known is None:
        message = rng.choice(MISSES).format(repr(subject[:80]))
        return dumps({"error": {"status": Status.TOOL_ERROR.value, "message": message}})
    value = corrupted(known, corrupt).object if corrupt else known.object
    drawn = rng.random()
    if drawn < mistakes.broken_result:
        return rng.choice(("I would return the value here.", dumps({"note": value})))
    if drawn < mistakes.broken_result + mistakes.wrong_fact:
        value = mistaken(value)
    return dumps(_result(tool["returns"], relation, known.subject, value, rng))


def _same(stated: str, relation: str | None, tool: str) -> bool:
    if relation is not None:
        return stated == relation or relation_named(stated) == relation
    return set(words(stated)) <= set(words(tool))


def _result(
    returns: dict[str, Any], relation: str | None, subject: str, value: str, rng: random.Random
) -> dict[str, Any]:
    """The value in a sentence or under the key that names the relation, in a record or in a list of records."""
    fields = returns.get("properties") or {"value": {}}
    spoken = next((key for key, field in fields.items() if field.get("description") == SENTENCE), None)
    if spoken is not None and relation is not None:
        return dict.fromkeys(fields, subject) | {spoken: sentence(subject, relation, value)}
    lists = ((key, field["items"]) for key, field in fields.items() if "items" in field)
    group, item = next(((key, item) for key, item in lists if _tells(item, relation)), ("", None))
    if item is not None:
        records = [_result(item, relation, subject, value, rng)]
        if relation is not None and rng.random() < OTHERS:
            like, split = relations()[relation], split_of(subject) or rng.choice(SPLITS)
            other, more = _near(subject, _invented_name(like.of[0], rng, split), rng), _invented(like, rng, split)
            records.append(_result(item, relation, other, more, rng))
            rng.shuffle(records)
        return {key: records if key == group else _aside(field, rng) for key, field in fields.items()}
    holder = next((key for key in fields if relation_named(key) == relation), list(fields)[-1])
    said: dict[str, Any] = {
        key: subject if key in NAMES or len(fields) < 3 else _aside(field, rng) for key, field in fields.items()
    }
    is_number = fields[holder].get("type") == "integer" and value.lstrip("-").isdigit()
    return {**said, holder: int(value) if is_number else value}


def _near(name: str, other: str, rng: random.Random) -> str:
    """A name that shares a word with another, as in what a search finds; a name of one word as it is."""
    mine, theirs = name.split(), other.split()
    return " ".join(rng.sample((rng.choice(mine), theirs[-1]), 2)) if len(mine) == len(theirs) == 2 else other


def _tells(item: dict[str, Any], relation: str | None) -> bool:
    """Whether records of a list have the value that is asked for."""
    return any(relation_named(key) == relation for key in item.get("properties", ()))


def _aside(field: dict[str, Any], rng: random.Random) -> Any:
    """Something of a field's type that nobody asked for: a code, a word, a number, or a few codes."""
    match field.get("type"):
        case "integer" | "number":
            return rng.randrange(100)
        case "array":
            keys = field["items"].get("properties", ())
            return [{key: _code(rng) for key in keys} for _ in range(rng.randint(0, 2))]
    return rng.choice((_code(rng), rng.choice(ENTITY_TYPES)))


def _code(rng: random.Random) -> str:
    return f"{rng.choice(string.ascii_lowercase)}{rng.randrange(100)}"


def draft_facts(question: str, passages: list[dict[str, str]], rng: random.Random) -> list[dict[str, str]]:
    """Facts read from passages; without passages, invented ones along the question's plan."""
    facts = [fact for passage in passages for fact in read(passage["title"], passage["text"])]
    if not passages and (plan := parse(question)) is not None:
        for path in plan.paths:
            here = path.start
            for name in path.relations:
                relation = relations()[name]
                other = rng.choice(relations_of(relation.of[0]))
                objects = {stated.name: _invented(stated, rng, rng.choice(SPLITS)) for stated in (relation, other)}
                facts += [Fact(subject=here, relation=key, object=value) for key, value in objects.items()]
                here = objects[name]
    return [fact.model_dump() for fact in facts]


def _invented(relation: Relation, rng: random.Random, split: str) -> str:
    """An object of a relation, drawn as universes draw it: what is made up must not look it, or it needn't be read."""
    if relation.to in VALUES:
        return draw_value(relation.name, rng.randint(*BORN), rng)
    return _invented_name(relation.to, rng, split)


def _invented_name(kind: str, rng: random.Random, split: str) -> str:
    """A name of an entity of a type, made up of the words of a split."""
    words_of = inventories()[split]
    match kind:
        case "person":
            return words_of.person(rng)
        case "film":
            return words_of.work(rng)
        case "company":
            return words_of.body(rng)
    return rng.choice(words_of.place)
