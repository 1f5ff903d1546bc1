"""One world for a whole group, whoever asks first; and blame where it belongs."""

import asyncio
import random
from collections import Counter

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handmade import TASK, TOOLSET
from understudy.agents.autoagent import AutoAgent
from understudy.agents.toolactor import ToolActor
from understudy.errors import ModelError, ToolError
from understudy.llm.scripted import ScriptedChat
from understudy.protocols import Sample
from understudy.rollout import Limits, rollout
from understudy.schema import canonical
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox
from understudy.tools.utilities import UTILITIES
from understudy.trace import Call, Source, Status, Stop, Turn
from understudy.world import World

FILMS = [f"Film {index}" for index in range(5)]


class Wanderer:
    """A policy that makes random calls in random order, spelt in random ways, and then answers."""

    name = "wanderer"

    def open(self, task, toolset, seed):
        rng = random.Random(seed)

        class Walk:
            turns = 0

            async def step(self, observations):
                self.turns += 1
                await asyncio.sleep(rng.random() / 1000)
                if self.turns > 3:
                    return Sample(Turn(answer="x"))
                spelt = rng.choice(["{}", " {}", "{} ", "{}\n"])
                calls = [
                    Call(id=f"c{place}", name="get_director", arguments={"film": spelt.format(film)})
                    for place, film in enumerate(rng.sample(FILMS, 2))
                ]
                return Sample(Turn(calls=tuple(calls)))

            def tokens(self):
                return None

            def close(self):
                pass

        return Walk()


def random_simulator(arrival):
    """A model that answers late, at random, and never the same twice."""
    rng, count = random.Random(arrival), Counter()

    async def reply(request):
        await asyncio.sleep(rng.random() / 500)
        sent = orjson.loads(request.messages[1]["content"])
        count[canonical(sent["arguments"])] += 1
        return orjson.dumps({"director": f"D{rng.random()}"}).decode()

    return ScriptedChat(reply), count


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32))
async def test_a_group_sees_one_world_in_any_order_of_arrival(arrival):
    model, count = random_simulator(arrival)
    tools, world = SimulatedTools(ToolActor(model)), World("t")
    traces = await asyncio.gather(
        *(rollout(TASK, TOOLSET, world, Wanderer(), tools, Limits(), arrival + index) for index in range(64))
    )
    seen = {}
    for trace in traces:
        assert trace.stop is Stop.ANSWERED
        for call, observation in trace.calls():
            assert observation.source is Source.SIMULATED
            seen.setdefault(canonical(call.arguments), set()).add(canonical(observation.content))
    assert len(seen) == len(FILMS)
    assert all(len(contents) == 1 for contents in seen.values())
    assert set(count.values()) == {1}, "one computation per distinct call"


async def test_a_replayed_world_asks_no_model():
    model, _ = random_simulator(0)
    world = World("t")
    first = await rollout(TASK, TOOLSET, world, Wanderer(), SimulatedTools(ToolActor(model)), Limits(), 1)
    again = World.from_record(world.to_record())
    silent = SimulatedTools(ToolActor(ScriptedChat([])))
    second = await rollout(TASK, TOOLSET, again, Wanderer(), silent, Limits(), 1)
    assert first.steps == second.steps


@pytest.mark.parametrize("reply", ["no json", '{"actor": 1}', ModelError("down")])
async def test_a_simulator_failure_is_labelled_and_not_blamed_on_the_policy(reply):
    tools = Toolbox(SimulatedTools(ToolActor(ScriptedChat(lambda request: reply))))
    trace = await rollout(TASK, TOOLSET, World("t"), Wanderer(), tools, Limits(), 1)
    assert trace.stop is Stop.SIMULATOR_FAILURE
    assert {observation.status for observation in trace.observations} == {Status.SIMULATOR_FAILURE}
    assert all(observation.source is Source.SIMULATED for observation in trace.observations)


async def test_a_failure_is_not_remembered():
    replies = iter(["no json", "no json", '{"director": "A B"}'])
    tools = SimulatedTools(ToolActor(ScriptedChat(lambda request: next(replies)), attempts=2))
    world, contract = World("t"), TOOLSET[0]
    call = Call(id="a", name=contract.name, arguments={"film": "X"})
    with pytest.raises(Exception, match="no usable reply"):
        await tools.call(contract, call, world)
    assert (await tools.call(contract, call, world)).content == {"director": "A B"}


async def test_a_miss_is_a_tool_error_the_policy_can_react_to():
    miss = '{"error": {"status": "tool_error", "message": "no record of Film 1"}}'
    tools = SimulatedTools(ToolActor(ScriptedChat(lambda request: miss)))
    trace = await rollout(TASK, TOOLSET, World("t"), Wanderer(), tools, Limits(), 1)
    assert trace.stop is Stop.ANSWERED
    assert {observation.status for observation in trace.observations} == {Status.TOOL_ERROR}


async def test_the_toolbox_computes_utilities_and_passes_the_rest_on():
    model = ScriptedChat(['{"director": "A B"}'])
    inner = SimulatedTools(ToolActor(model))
    tools, world = Toolbox(inner), World("t")
    calculator = UTILITIES["calculator"].contract
    assert (tools.name, tools.prompts) == (inner.name, inner.prompts)
    assert (tools.source_of(calculator), tools.source_of(TOOLSET[0])) == (Source.UTILITY, Source.SIMULATED)
    computed = await tools.call(calculator, Call(id="a", name="calculator", arguments={"expression": "6*7"}), world)
    assert (computed.content, computed.source, computed.call_id) == ({"value": 42}, Source.UTILITY, "a")
    assert model.requests == []
    with pytest.raises(ToolError, match="division by zero"):
        await tools.call(calculator, Call(id="a", name="calculator", arguments={"expression": "1/0"}), world)
    passed = await tools.call(TOOLSET[0], Call(id="b", name="get_director", arguments={"film": "X"}), world)
    assert (passed.content, passed.source) == ({"director": "A B"}, Source.SIMULATED)


async def test_provenance_names_the_prompts_of_both_sides():
    tools = Toolbox(SimulatedTools(ToolActor(ScriptedChat([]))))
    policy = AutoAgent(ScriptedChat(["<answer>x</answer>"]))
    trace = await rollout(TASK, TOOLSET, World("t"), policy, tools, Limits(), 1)
    assert set(trace.provenance.prompts) == {"autoagent", "toolactor"}
