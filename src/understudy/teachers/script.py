"""The turns in which a plan is carried out: thoughts, calls and the answer."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby

from understudy.contract import ToolContract
from understudy.errors import ModelError
from understudy.grammar import call_id
from understudy.seed import derive_seed
from understudy.teachers.comparison import chosen
from understudy.teachers.plan import Lookup, Plan, Step
from understudy.teachers.relations import Relation, listed
from understudy.teachers.toolset import result_key
from understudy.trace import Call, Turn

TOGETHER = 0.4  # share of rollouts that ask at once for what doesn't depend on each other

_TWO_STOPS = re.compile(r"(?<!\.)\.\.(?!\.)")
_Calls = list[tuple[str, dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Act:
    """One turn, and whether its calls are expected to find nothing (a detour)."""

    turn: Turn
    misses: bool = False


def write_script(plan: Plan, toolset: Sequence[ToolContract], seed: int, detours: float) -> list[Act]:
    """The turns of one rollout.

    Args:
        plan: what to do.
        toolset: the contracts offered; has to have one for every relation of the plan.
        seed: draws the wording, the grouping of calls, and detours.
        detours: probability of one needless call to a distractor that finds nothing, from which the policy recovers.

    Raises:
        ModelError: no contract of the toolset looks up what the plan needs.
    """
    return _Writer(plan, toolset, random.Random(derive_seed(seed, plan.task_id, "script"))).write(detours)


class _Writer:
    def __init__(self, plan: Plan, toolset: Sequence[ToolContract], rng: random.Random) -> None:
        self._plan, self._rng = plan, rng
        self._tools = {result_key(tool): tool.name for tool in toolset}
        self._names = {tool.name for tool in toolset}
        self._acts: list[Act] = []

    def write(self, detours: float) -> list[Act]:
        stages = self._stages()
        detour_at = self._rng.randrange(len(stages)) if self._rng.random() < detours else -1
        previous: list[Lookup] = []
        for position, stage in enumerate(stages):
            thought = self._thought(stage, previous)
            if position == detour_at and self._detour(stage[0]):
                thought = f"{self._say('recover')} {thought}"
            self._act(thought, [(self._tool(lookup.relation), lookup.arguments()) for lookup in stage])
            previous = stage
        values = self._values()
        if self._plan.step in (Step.LONGEST, Step.SHORTEST):
            self._compare("lives", [(birth, death) for birth, death in values])
        elif self._plan.step in (Step.EARLIEST, Step.LATEST) and "date_difference" in self._names:
            self._compare("dates", [(values[0][0], values[1][0])])
        self._acts.append(Act(Turn(thought=self._conclusion(values), answer=self._plan.answer)))
        return self._acts

    def _stages(self) -> list[list[Lookup]]:
        """Look-ups by turn: one by one, or all at once that need equally many before them."""
        lookups = self._plan.lookups
        if self._rng.random() >= TOGETHER:
            return [[lookup] for lookup in lookups]
        depths: list[int] = []
        for lookup in lookups:
            depths.append(1 + max((depths[index] for index in lookup.after), default=0))
        order = sorted(range(len(lookups)), key=depths.__getitem__)
        return [[lookups[index] for index in group] for _, group in groupby(order, key=depths.__getitem__)]

    def _thought(self, stage: list[Lookup], previous: list[Lookup]) -> str:
        what = _listed([_what(lookup) for lookup in stage])
        found = _listed(list(dict.fromkeys(lookup.found for lookup in previous)))
        if len(stage) > 1:
            return self._say("together_next" if previous else "together", what=what, found=found)
        if not previous:
            return self._say("first", what=what)
        linked = any(self._plan.lookups[index] in previous for index in stage[0].after)
        return self._say("next" if linked else "other", what=what, found=found)

    def _detour(self, lookup: Lookup) -> bool:
        """Call a distractor that takes the same argument, if there is one."""
        needed = {step.relation.key for step in self._plan.lookups}
        offered = [relation for key, relation in _by_key().items() if key in self._tools and key not in needed]
        near = [relation for relation in offered if relation.of == lookup.relation.of]
        if near:
            relation = self._rng.choice(near)
            thought = self._say("detour", what=relation.said_of(lookup.subject))
            self._act(thought, [(self._tool(relation), {relation.of: lookup.subject})], misses=True)
        return bool(near)

    def _compare(self, said: str, pairs: list[tuple[str, str]]) -> None:
        found = _listed([date for value in self._values() for date in value])
        self._act(self._say(said, found=found), [("date_difference", {"start": a, "end": b}) for a, b in pairs])

    def _values(self) -> list[list[str]]:
        return [[self._plan.lookups[index].found for index in option.values] for option in self._plan.options]

    def _conclusion(self, values: list[list[str]]) -> str:
        step, answer = self._plan.step, self._plan.answer
        if step is Step.READ:
            return self._say("read", answer=answer)
        if step in (Step.SAME, Step.DIFFERENT):
            last = dict.fromkeys(index for option in self._plan.options for index in option.values)
            said = [f"{_what(self._plan.lookups[index])} is {self._plan.lookups[index].found}" for index in last]
            values_said = _listed(said)
            return self._say(step.value, values=values_said[:1].upper() + values_said[1:], answer=answer)
        winner = chosen(step, values) or 0
        return self._say(step.value, winner=" to ".join(values[winner]), answer=answer)

    def _tool(self, relation: Relation) -> str:
        if relation.key not in self._tools:
            raise ModelError(f"the toolset has no tool for {relation.name!r}")
        return self._tools[relation.key]

    def _act(self, thought: str, calls: _Calls, misses: bool = False) -> None:
        turn = len(self._acts)
        made = tuple(Call(id=call_id(turn, i), name=name, arguments=given) for i, (name, given) in enumerate(calls))
        self._acts.append(Act(Turn(thought=thought, calls=made), misses))

    def _say(self, moment: str, **said: str) -> str:
        sentence = self._rng.choice(_wording()[moment]).format(**said)
        return _TWO_STOPS.sub(".", sentence)  # a name that ends in a full stop, at the end of a sentence


@cache
def _wording() -> dict[str, list[str]]:
    return tomllib.loads(files("understudy.teachers").joinpath("wording.toml").read_text(encoding="utf-8"))


@cache
def _by_key() -> dict[str, Relation]:
    return {relation.key: relation for relation in listed()}


def _what(lookup: Lookup) -> str:
    return f"the answer to “{lookup.question}”" if lookup.relation.open else lookup.relation.said_of(lookup.subject)


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
