"""A trace told of somebody else: the same plan and the same mistakes, with other names, years and words.

A few hundred traces are learnt by heart, name by name. Told anew every time, all that comes back is how to go about a
question. The question is asked in another way. What a name, a year or an API's word becomes is the same all through
a trace, so it stays as true as it was.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cache

import orjson

from understudy.contract import ToolContract
from understudy.lab import questions
from understudy.lab.lexicon import relation_named
from understudy.lab.names import SPLITS, inventories
from understudy.lab.parsing import parse
from understudy.lab.plans import Plan
from understudy.lab.relations import relations
from understudy.lab.toolmaker import LISTS, PROSE, any_words, draw_opening
from understudy.schema import dumps
from understudy.seed import derive_seed
from understudy.trace import Call, Observation, Status, Step, Trace, Turn

YEARS_APART = 20
"""By how many years a trace is moved at most."""
_PARTS = ("question", "toolset", "steps")
_NOTATION = frozenset(
    (
        *(field for noun in (Trace, Step, Turn, Call, Observation, ToolContract) for field in noun.model_fields),
        *("type", "properties", "required", "items", "object", "array", "string", "integer"),
        *(*Status, "error", "message", "yes", "no", *LISTS, *PROSE),
    )
)
"""Words in quotes that stay as they are: notation, verdicts, what a list or a sentence is often called."""
_WORD = re.compile(r"\b[A-Z][a-z]+\b")
_QUOTED = re.compile(r'"([a-z]+)"')
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")


def tellings(traces: Sequence[Trace], times: int, seed: int) -> list[Trace]:
    """Traces told so many times: first as they are, then retold, otherwise every time."""
    again = (
        retell(trace, random.Random(derive_seed("retell", seed, turn, trace.task_id)))
        for turn in range(1, times)
        for trace in traces
    )
    return [*traces, *again]


def retell(trace: Trace, rng: random.Random) -> Trace:
    """Tell a trace of the lab with names, years and an API's words drawn anew.

    Years stay as they are where a question is about quantities, which can look like years.

    Args:
        trace: of a scripted teacher, without tokens.
        rng: chooses.

    Returns:
        A trace of the same task. Its world does not know the names, so it is for training alone.
    """
    whole, plan = trace.model_dump(mode="json"), parse(trace.question)
    told = dumps({part: whole[part] for part in _PARTS} | {"question": _asked_otherwise(trace.question, plan, rng)})
    told = _under_other_names(told, rng)
    if plan is None or all(relations()[name].to != "quantity" for name in plan.relations):
        moved = rng.randint(-YEARS_APART, YEARS_APART)
        told = _YEAR.sub(lambda year: str(int(year.group()) + moved), told)
    told = _with_other_tools(told, trace.toolset, rng)
    return Trace.model_validate({**whole, **orjson.loads(told)})


def _asked_otherwise(question: str, plan: Plan | None, rng: random.Random) -> str:
    """The question in other words; as it is where these could be understood otherwise."""
    if plan is None:
        return question
    other = questions.word(plan, relations()[plan.paths[0].relations[0]].of[0], rng)
    return other if parse(other) == plan else question


def _under_other_names(told: str, rng: random.Random) -> str:
    """Each word of a name turned into another of the same inventory."""
    said: dict[tuple[str, str], list[str]] = {}
    for word in dict.fromkeys(_WORD.findall(told)):
        if word in _inventory_of():
            said.setdefault(_inventory_of()[word], []).append(word)
    other: dict[str, str] = {}
    for (split, use), words in said.items():
        unused = [word for word in vars(inventories()[split])[use] if word not in words]
        other |= zip(words, rng.sample(unused, len(words)), strict=True)
    return _WORD.sub(lambda found: other.get(found.group(), found.group()), told)


@cache
def _inventory_of() -> dict[str, tuple[str, str]]:
    """Split and use of every word that names of the lab are made of."""
    return {
        word: (split, use) for split in SPLITS for use, words in vars(inventories()[split]).items() for word in words
    }


def _with_other_tools(told: str, toolset: Sequence[ToolContract], rng: random.Random) -> str:
    """What the names of look-ups begin with, and those of their keys that any word could stand for, drawn anew."""
    look_ups = [tool for tool in toolset if relation_named(tool.name)]
    utilities = dumps([tool.model_dump() for tool in toolset if tool not in look_ups])
    keys, kept = _keys(look_ups), set(_QUOTED.findall(utilities))
    free = sorted(keys.intersection(any_words()) - kept - _NOTATION)
    unused = [word for word in any_words() if word not in keys | kept]
    other = dict(zip(free, rng.sample(unused, len(free)), strict=True))
    opening = draw_opening(rng)
    names = {tool.name: f"{opening}_{tool.name.split('_', 1)[1]}" for tool in look_ups}
    # Keys stand in quotes: in JSON, in a list of what is required, in a message. Names are words of their own anywhere,
    # and one is misspelt with a "_" behind it.
    told = re.sub(r'(?<=")[a-z]+(?=\\?")', lambda found: other.get(found.group(), found.group()), told)
    return re.sub(r"\w+?(?=_?\b)", lambda found: names.get(found.group(), found.group()), told)


def _keys(tools: Sequence[ToolContract]) -> set[str]:
    """The names of all properties that tools take or return, nested ones too."""
    stack = [schema for tool in tools for schema in (tool.parameters, tool.returns)]
    keys: set[str] = set()
    while stack:
        schema = stack.pop()
        inner = schema.get("properties", {})
        keys.update(inner)
        stack += [*inner.values(), *([schema["items"]] if "items" in schema else [])]
    return keys
