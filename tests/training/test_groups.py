"""A batch at once on a slow simulator that answers in any order: one world per group, and blame where it is due."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import orjson
import pytest

import virtual
from films import TOOLSET, bridge, world
from understudy.agents.toolactor import ToolActor
from understudy.llm.scripted import ScriptedChat
from understudy.protocols import Sample
from understudy.reward.composite import Weights
from understudy.rollout import Limits
from understudy.schema import canonical
from understudy.tools.faults import FaultRates, FaultyTools
from understudy.tools.simulated import SimulatedTools
from understudy.trace import Call, Status, Stop, Tokens, Turn
from understudy.training.rollouts import TaskSet, collect, trainer_fields

GROUP = 24
TASKS = [bridge(number) for number in range(1, 5)]
NAMES = [(task.id, place) for task in TASKS for place in range(GROUP)]


class Wanderer:
    """Asks two of four films a turn, drawn by its seed, for two turns, then answers; each rollout has a token."""

    name = "wanderer"

    def open(self, task, toolset, seed):
        return _Walk(random.Random(seed))


class _Walk:
    def __init__(self, draw):
        self.draw, self.turns = draw, 0

    async def step(self, observations):
        self.turns += 1
        await asyncio.sleep(self.draw.random())
        if self.turns > 2:
            return Sample(Turn(answer="x"))
        films = self.draw.sample(["Red Harbour 1", "Elsewhere", "Broken", "Nowhere"], 2)
        calls = [Call(id=f"c{at}", name="find_director", arguments={"film": film}) for at, film in enumerate(films)]
        return Sample(Turn(calls=tuple(calls)))

    def tokens(self):
        return Tokens(prompt=(1,), completion=(2, 3), mask=(1, 1), logprobs=(-0.1, -0.1))

    def close(self):
        pass


class Simulator:
    """A model that takes up to a minute, never says the same twice, and fails for some films."""

    def __init__(self, arrival, broken=""):
        self.draw, self.broken = random.Random(arrival), broken
        self.asked, self.order, self.answered = Counter(), [], []

    async def reply(self, request):
        sent = orjson.loads(request.messages[1]["content"])
        film, key = sent["arguments"]["film"], canonical([sent["arguments"], sent["facts"], request.seed])
        self.asked[key] += 1
        self.order.append(key)
        await asyncio.sleep(60 * self.draw.random())
        self.answered.append(key)
        if film == self.broken:
            return "no json"
        known = [fact["object"] for fact in sent["facts"] if fact["relation"] == "director"]
        return orjson.dumps({"director": known[0] if known else f"D{self.draw.random()}"}).decode()


def collected(simulator, wrap=lambda tools: tools):
    given = TaskSet.of(TASKS, {task.id: TOOLSET for task in TASKS}, {task.id: world(task) for task in TASKS})
    tools = wrap(SimulatedTools(ToolActor(ScriptedChat(simulator.reply), attempts=1)))
    limits = Limits(max_turns=3, timeout=10_000)
    return virtual.run(collect(NAMES, given, Wanderer(), tools, limits, Weights(), "0"))


def told(batch):
    """(task, call) → everything that was said to it."""
    found = {}
    for trace in batch.traces:
        for call, observation in trace.calls():
            key = (trace.task_id, canonical([call.name, call.arguments]))
            found.setdefault(key, set()).add(canonical([observation.content, observation.status]))
    return found


def faulty(tools):
    return FaultyTools(tools, FaultRates(timeout=0.3, tool_error=0.2, empty=0.2, noise=0.5, simulator_failure=0.1), 3)


@pytest.mark.parametrize("wrap", [lambda tools: tools, faulty], ids=["plain", "faults"])
def test_identical_calls_of_a_group_see_identical_observations(wrap):
    simulator = Simulator(arrival=0)
    batch = collected(simulator, wrap)
    found = told(batch)
    assert len(batch.traces) == len(NAMES)
    assert all(len(contents) == 1 for contents in found.values())
    assert simulator.answered != simulator.order, "answers come in another order than calls"
    assert set(simulator.asked.values()) == {1}, "one computation for all who ask"
    if wrap is faulty:
        statuses = {orjson.loads(content)[1] for contents in found.values() for content in contents}
        assert statuses == {Status.OK, Status.TOOL_ERROR, Status.SIMULATOR_FAILURE}
    else:
        assert len(found) == 4 * len(TASKS)


def test_what_is_hit_does_not_depend_on_the_order_of_arrival():
    """Where the simulator is free to word a result, it words it otherwise; statuses, and where faults are, stay."""

    def statuses(arrival):
        found = told(collected(Simulator(arrival), faulty))
        return {key: orjson.loads(next(iter(contents)))[1] for key, contents in found.items()}

    first, second = statuses(1), statuses(2)
    shared = first.keys() & second.keys()
    assert len(shared) > 8
    assert all(first[key] == second[key] for key in shared)


def test_a_simulator_that_fails_within_a_group_masks_just_these_rollouts():
    batch = collected(Simulator(arrival=0, broken="Broken"))
    met = [any(call.arguments["film"] == "Broken" for call, _ in trace.calls()) for trace in batch.traces]
    for start in range(0, len(NAMES), GROUP):
        assert 0 < sum(met[start : start + GROUP]) < GROUP, "every group is hit in the middle"
    assert [reward.masked for reward in batch.rewards] == met
    assert [trace.stop is Stop.SIMULATOR_FAILURE for trace in batch.traces] == met
    assert all(trace.stop is Stop.ANSWERED for trace, hit in zip(batch.traces, met, strict=True) if not hit)
    fields = trainer_fields(batch, end_id=0)
    assert [reward is None for reward in fields["reward"]] == met
    assert [not any(mask) for mask in fields["env_mask"]] == met
