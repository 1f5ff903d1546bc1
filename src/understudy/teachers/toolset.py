"""Tool contracts made of relations, and the toolset that a plan's task is offered.

A relation gives one of a few contracts, which differ in how they are called and whether results repeat the argument, so
that a policy has to read contracts instead of remembering them. All of them return the relation under its own name.
"""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any

from understudy.contract import ToolContract
from understudy.seed import derive_seed
from understudy.teachers.plan import Plan, Step
from understudy.teachers.relations import Relation, listed
from understudy.tools.utilities import UTILITIES

MIN_TOOLS, MAX_TOOLS = 3, 6
_VERBS = {"get": "Get", "find": "Find", "look_up": "Look up"}
_ORDERED = (Step.EARLIEST, Step.LATEST)
_SPANS = (Step.LONGEST, Step.SHORTEST)


@lru_cache(maxsize=8192)
def contract(relation: Relation, verb: str = "get", echo: bool = False) -> ToolContract:
    """The look-up tool of a relation.

    Args:
        relation: what it looks up.
        verb: a key of the verbs: get, find or look_up.
        echo: whether the result repeats the argument, as many live tools do.
    """
    text = {"type": "string"}
    result = {relation.key: text}
    if relation.open:
        return ToolContract(
            name=f"search_{relation.key}",
            description=f"Search for {relation.what}.",
            parameters=_object(
                {"question": text | {"description": "The question, complete in itself"}},
                {"about": text | {"description": "Name of the thing that the question is about"}},
            ),
            returns=_object(result),
        )
    article = "an" if relation.of[0] in "aeiou" else "a"
    return ToolContract(
        name=f"{verb}_{relation.key}",
        description=f"{_VERBS[verb]} {relation.said_of(f'{article} {relation.of}')}.",
        parameters=_object({relation.of: text | {"description": f"Name of the {relation.of}"}}),
        returns=_object({relation.of: text} | result if echo else result),
    )


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


def result_key(tool: ToolContract) -> str:
    """Under which key a contract returns what it looks up; empty when it isn't a look-up of one thing."""
    returned = tool.returns.get("properties") or {}
    keys = [key for key in returned if key not in tool.parameters.get("properties", {})]
    return keys[0] if len(keys) == 1 else ""


def evidence_toolset(plan: Plan, seed: int) -> tuple[ToolContract, ...]:
    """The contracts offered for a plan's task, shuffled: those it needs, distractors, and utilities.

    There are three to six task-specific tools, at least one of them a distractor: a relation of the same kind of thing
    that the plan doesn't need and that isn't easily taken for one that it needs.
    """
    rng = random.Random(derive_seed(seed, plan.task_id, "toolset"))
    needed = list(dict.fromkeys(lookup.relation for lookup in plan.lookups))
    fewest = max(MIN_TOOLS, len(needed) + 1)
    wanted = rng.randint(fewest, max(fewest, MAX_TOOLS)) - len(needed)
    relations = needed + _distractors(needed, wanted, rng)
    verb, echo = rng.choice(list(_VERBS)), rng.random() < 0.5
    tools = [contract(relation, verb, echo) for relation in relations]
    names = set(rng.sample(list(UTILITIES), rng.randint(0, 2)))
    if plan.step in _SPANS or (plan.step in _ORDERED and rng.random() < 0.75):
        names.add("date_difference")
    tools += [UTILITIES[name].contract for name in sorted(names)]
    rng.shuffle(tools)
    return tuple(tools)


def _distractors(needed: list[Relation], count: int, rng: random.Random) -> list[Relation]:
    names, kinds = {relation.name for relation in needed}, {relation.of for relation in needed}
    families = {relation.family for relation in needed} - {""}
    free = [relation for relation in listed() if relation.name not in names and relation.family not in families]
    near = [relation for relation in free if relation.of in kinds]
    chosen = rng.sample(near, min(count, len(near)))
    return chosen + rng.sample([relation for relation in free if relation.of not in kinds], count - len(chosen))
