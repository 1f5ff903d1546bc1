"""A small world of films to evaluate on, and a policy that follows a script per question."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from understudy.contract import ToolContract
from understudy.errors import ModelError, SimulatorError, ToolError
from understudy.evaluation.result import Result
from understudy.evaluation.runner import evaluate
from understudy.grammar import parse_turn
from understudy.protocols import Sample
from understudy.rollout import Limits
from understudy.schema import dumps
from understudy.task import Evidence, Fact, Kind, Task
from understudy.trace import Call, Observation, ParseFault, Source
from understudy.world import FactsFrom, World


def lookup(relation: str, of: str) -> ToolContract:
    return ToolContract(
        name=f"find_{relation}",
        description=f"The {relation} of a {of}.",
        parameters={"type": "object", "properties": {of: {"type": "string"}}, "required": [of]},
        returns={"type": "object", "properties": {relation: {"type": "string"}}, "required": [relation]},
    )


TOOLSET = (lookup("director", "film"), lookup("birthplace", "person"), lookup("composer", "film"))


def bridge(number: int) -> Task:
    film, person, city = f"Red Harbour {number}", f"Anna Bergström {number}", f"Lindenfeld {number}"
    facts = (
        Fact(subject=film, relation="director", object=person),
        Fact(subject=person, relation="birthplace", object=city),
        Fact(subject=film, relation="composer", object=f"Otto Marsh {number}"),
    )
    return Task(
        id=f"q{number:03}",
        question=f"Where was the director of {film} born?",
        answers=(city,),
        kind=Kind.BRIDGE if number % 2 else Kind.COMPOSITIONAL,
        hops=2 + number % 3,
        evidence=Evidence(facts=facts[:2]),
        source=f"{film}|{person}|{city}",
    )


def world(task: Task) -> World:
    film = task.evidence.facts[0].subject
    composer = Fact(subject=film, relation="composer", object=f"Otto Marsh {int(task.id[1:])}")
    return World(task.id, [*task.evidence.facts, composer], FactsFrom.EVIDENCE)


class Tables:
    """A simulated source that looks facts up; ``Broken …`` makes it fail."""

    name = "tables"

    def source_of(self, contract: ToolContract) -> Source:
        return Source.SIMULATED

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        subject = str(next(iter(call.arguments.values())))
        relation = contract.name.removeprefix("find_")
        if subject.startswith("Broken"):
            raise SimulatorError("no valid observation after 2 repairs")
        for fact in world.facts:
            if fact.subject == subject and fact.relation == relation:
                return Observation(
                    call_id=call.id, name=call.name, content={relation: fact.object}, source=Source.SIMULATED
                )
        raise ToolError(f"no record of {subject!r}")


class Scripted:
    """Says what the script gives for a task, turn by turn, after delays that differ from task to task."""

    def __init__(self, script: Callable[[Task], Sequence[str]], delays: int | None = None) -> None:
        self.name, self._script, self._delays = "scripted", script, delays
        self.opened: list[str] = []
        self.running = self.peak = 0

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> _Session:
        self.opened.append(task.id)
        return _Session(self, list(self._script(task)), random.Random(f"{self._delays}{task.id}"))

    async def pause(self, generator: random.Random) -> None:
        self.running += 1
        self.peak = max(self.peak, self.running)
        await asyncio.sleep(generator.random() * 0.004 if self._delays is not None else 0)
        self.running -= 1


class _Session:
    def __init__(self, policy: Scripted, lines: list[str], generator: random.Random) -> None:
        self._policy, self._lines, self._generator = policy, lines, generator

    async def step(self, observations: Sequence[Observation]) -> Sample:
        await self._policy.pause(self._generator)
        if not self._lines:
            raise ModelError("the script is over")
        turn = parse_turn(self._lines.pop(0))
        return Sample(turn, sampled=10, truncated=isinstance(turn, ParseFault) and turn.raw == "<think>cut")

    def tokens(self) -> None:
        return None

    def close(self) -> None:
        pass


def call(name: str, **arguments: str) -> str:
    return f"<think>I look it up.</think><tool_call>{dumps({'name': name, 'arguments': arguments})}</tool_call>"


def solve(task: Task) -> list[str]:
    """The right way."""
    film, person, city = task.source.split("|")
    return [call("find_director", film=film), call("find_birthplace", person=person), f"<answer>{city}</answer>"]


def solve_some(task: Task) -> list[str]:
    """Right on two questions of three."""
    return solve(task) if int(task.id[1:]) % 3 else [*solve(task)[:2], f"<answer>{task.source.split('|')[1]}</answer>"]


async def run(tasks: Sequence[Task], policy: object, **options: object) -> Result:
    toolsets = {task.id: TOOLSET for task in tasks}
    worlds = {task.id: world(task) for task in tasks}
    given = {"limits": Limits(max_turns=5), "seed": 3, "tools": Tables(), "toolsets": toolsets, "worlds": worlds}
    return await evaluate(tasks, policy=policy, **{**given, **options})  # type: ignore[arg-type]


tasks = [bridge(number) for number in range(1, 25)]
