"""The scripted teacher as ToolActor and as FactDrafter: results worded from facts, facts read from prose."""

from __future__ import annotations

import random
from typing import Any

from understudy.lab.documents import read, sentence
from understudy.lab.lexicon import relation_named, words
from understudy.lab.mistakes import Mistakes, corrupted, mistaken
from understudy.lab.names import SPLITS, inventories
from understudy.lab.parsing import parse
from understudy.lab.relations import Relation, relations, relations_of
from understudy.lab.results import TEXTS
from understudy.lab.universe import MONTHS
from understudy.schema import dumps
from understudy.task import Fact
from understudy.trace import Status


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
    value = next(
        (
            corrupted(Fact(**fact), corrupt).object if corrupt else fact["object"]
            for fact in payload["facts"]
            if fact["subject"].casefold() == subject.casefold() and _same(fact["relation"], relation, tool["name"])
        ),
        None,
    )
    if value is None:
        return dumps({"error": {"status": Status.TOOL_ERROR.value, "message": f"no record of {subject[:80]!r}"}})
    drawn = rng.random()
    if drawn < mistakes.broken_result:
        return rng.choice(("I would return the value here.", dumps({"note": value})))
    if drawn < mistakes.broken_result + mistakes.wrong_fact:
        value = mistaken(value)
    return dumps(_result(tool["returns"], relation, subject, value))


def _same(stated: str, relation: str | None, tool: str) -> bool:
    if relation is not None:
        return stated == relation or relation_named(stated) == relation
    return set(words(stated)) <= set(words(tool))


def _result(returns: dict[str, Any], relation: str | None, subject: str, value: str) -> dict[str, str]:
    """The value in a sentence or under the key that names the relation; other keys hold the subject."""
    keys = list(returns.get("properties") or ("value",))
    spoken = next((key for key in keys if key in TEXTS), None)
    if spoken is not None and relation is not None:
        return dict.fromkeys(keys, subject) | {spoken: sentence(subject, relation, value)}
    holder = next((key for key in keys if relation_named(key) == relation), keys[-1])
    return {key: value if key == holder else subject for key in keys}


def draft_facts(question: str, passages: list[dict[str, str]], rng: random.Random) -> list[dict[str, str]]:
    """Facts read from passages; without passages, invented ones along the question's plan."""
    facts = [fact for passage in passages for fact in read(passage["title"], passage["text"])]
    if not passages and (plan := parse(question)) is not None:
        for path in plan.paths:
            here = path.start
            for name in path.relations:
                relation = relations()[name]
                other = rng.choice(relations_of(relation.of[0]))
                objects = {stated.name: _invented(stated, rng) for stated in (relation, other)}
                facts += [Fact(subject=here, relation=key, object=value) for key, value in objects.items()]
                here = objects[name]
    return [fact.model_dump() for fact in facts]


def _invented(relation: Relation, rng: random.Random) -> str:
    words_of = inventories()[rng.choice(SPLITS)]
    match relation.to:
        case "person":
            return words_of.person(rng)
        case "film":
            return words_of.work(rng)
        case "company":
            return words_of.body(rng)
        case "city" | "country":
            return rng.choice(words_of.place)
        case "date":
            return f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(1850, 1990)}"
        case "year":
            return str(rng.randint(1850, 1990))
        case _:
            return str(rng.randint(100, 9_999))
