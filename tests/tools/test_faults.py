"""Faults that are put into tools: the same for a whole group, within every contract, and charged to nobody."""

import asyncio
import random

import pytest

from films import TOOLSET, Scripted, Tables, bridge, solve, world
from understudy.checks.contradiction import contradictions
from understudy.config import build
from understudy.errors import InputError, SimulatorError, ToolError
from understudy.evaluation.settings import ToolSettings
from understudy.evaluation.toolkit import Toolkit
from understudy.reward.composite import score
from understudy.rollout import Limits, rollout
from understudy.search.tools import SEARCH
from understudy.tools.faults import FaultRates, FaultSettings, FaultyTools, InjectedFault
from understudy.tools.toolbox import Toolbox
from understudy.tools.utilities import UTILITIES
from understudy.trace import Call, Observation, Source, Status, Stop
from understudy.world import World

TASKS = [bridge(number) for number in range(200)]
WORLDS = {task.id: world(task) for task in TASKS}


def director(task):
    return Call(id=f"c{task.id}", name="find_director", arguments={"film": task.source.split("|")[0]})


async def outcome(tools, task):
    """What a call is told, as text."""
    try:
        return (await tools.call(TOOLSET[0], director(task), WORLDS[task.id])).content
    except (SimulatorError, ToolError) as error:
        return f"{type(error).__name__}: {error}"


async def outcomes(tools):
    return {task.id: await outcome(tools, task) for task in TASKS}


async def test_a_call_meets_its_fault_whoever_asks_and_when():
    rates = FaultRates(**dict.fromkeys(InjectedFault, 0.15))
    first = await outcomes(FaultyTools(Tables(), rates, seed=1))
    again, others = FaultyTools(Tables(), rates, seed=1), random.Random(0).sample(TASKS, len(TASKS))
    told = await asyncio.gather(*(outcome(again, task) for task in others))
    assert dict(zip([task.id for task in others], told, strict=True)) == first
    assert await outcomes(FaultyTools(Tables(), rates, seed=2)) != first
    clean = await outcomes(Tables())
    assert 0.35 < sum(first[name] != clean[name] for name in first) / len(first) < 0.7  # 1 - 0.85^5 is 0.56


async def test_arguments_that_are_spelt_otherwise_meet_the_same_fault():
    tools = FaultyTools(Tables(), FaultRates(timeout=0.5), seed=0)
    for task in TASKS[:20]:
        film = director(task).arguments["film"]
        told = set()
        for spelt in (film, f" {film}\n", film.replace(" ", "  ")):
            call = Call(id="a", name="find_director", arguments={"film": spelt})
            try:
                await tools.call(TOOLSET[0], call, WORLDS[task.id])
            except ToolError as error:
                told.add("timed out" in str(error))
            else:
                told.add(False)
        # The source itself knows one spelling; the fault has to know none.
        assert told in ({True}, {False})


@pytest.mark.parametrize("kind", InjectedFault)
async def test_what_is_hit_stays_hit_as_the_rate_rises(kind):
    clean, hit = await outcomes(Tables()), set()
    for rate in (0.0, 0.1, 0.4, 1.0):
        tools = FaultyTools(Tables(), FaultRates(**{kind: rate}), seed=0)
        found = await outcomes(tools)
        now = {name for name in found if found[name] != clean[name]}
        assert hit <= now
        assert abs(len(now) / len(TASKS) - rate) < 0.1
        assert (tools.hits[kind], tools.hits["calls"]) == (len(now), len(TASKS))
        hit = now


@pytest.mark.parametrize(
    ("kind", "stop", "statuses", "masked"),
    [
        ("simulator_failure", Stop.SIMULATOR_FAILURE, {Status.SIMULATOR_FAILURE}, True),
        ("timeout", Stop.ANSWERED, {Status.TOOL_ERROR}, False),
        ("tool_error", Stop.ANSWERED, {Status.TOOL_ERROR}, False),
        ("empty", Stop.ANSWERED, {Status.OK}, False),
        ("noise", Stop.ANSWERED, {Status.OK}, False),
    ],
)
async def test_blame(kind, stop, statuses, masked):
    tools, task = FaultyTools(Tables(), FaultRates(**{kind: 1.0}), seed=0), TASKS[1]
    trace = await rollout(task, TOOLSET, WORLDS[task.id], Scripted(solve), tools, Limits(), 0)
    assert trace.stop is stop
    assert {observation.status for observation in trace.observations} == statuses
    reward = score(trace, task, WORLDS[task.id])
    assert reward.masked is masked
    assert trace.provenance.tools == "tables+faults"
    if not masked:
        assert "valid_calls" not in reward.flaws, "no fault of ours is an invalid call of the policy's"
    if kind == "noise":
        assert reward.total == pytest.approx(1.3), "noise takes nothing from who passes it over"


def found(*titles):
    """A search that always finds these."""

    class Found(Tables):
        async def call(self, contract, call, world):
            results = [{"title": title, "text": f"{title} is a film."} for title in titles]
            return Observation(call_id=call.id, name=call.name, content={"results": results}, source=Source.LIVE)

    return Found()


async def test_noise_keeps_contract_and_facts_and_all_that_was_said():
    tools = FaultyTools(Tables(), FaultRates(noise=1.0), seed=0)
    for task in TASKS[:50]:
        call, home = director(task), WORLDS[task.id]
        told, clean = [await source.call(TOOLSET[0], call, home) for source in (tools, Tables())]
        assert told.content.items() > clean.content.items()
        assert not TOOLSET[0].result_violations(told.content)
        assert not contradictions(told.content, call.arguments, home.facts, call.name)


async def test_noise_in_a_closed_contract_is_one_more_record():
    tools, places = FaultyTools(found("A", "B", "C"), FaultRates(noise=1.0), seed=0), set()
    for number in range(30):
        call = Call(id="a", name="search", arguments={"query": f"film {number}"})
        results = (await tools.call(SEARCH, call, World("t"))).content["results"]
        titles = [one["title"] for one in results]
        assert not SEARCH.result_violations({"results": results})
        assert [title for title in titles if title in "ABC"] == ["A", "B", "C"]
        assert len(titles) == 4
        places.add(next(at for at, title in enumerate(titles) if title not in "ABC"))
    assert places == {0, 1, 2, 3}


async def test_an_empty_result_keeps_the_contract_and_what_was_asked():
    call = Call(id="a", name="search", arguments={"query": "x"})
    tools = FaultyTools(found("A"), FaultRates(empty=1.0), seed=0)
    assert (await tools.call(SEARCH, call, World("t"))).content == {"results": []}
    told = await FaultyTools(Tables(), FaultRates(empty=1.0), 0).call(TOOLSET[0], director(TASKS[0]), WORLDS["q000"])
    assert told.content == {"director": ""}


async def test_where_a_contract_leaves_no_room_nothing_happens():
    strict = TOOLSET[0].model_copy(update={"returns": {
        "type": "object", "properties": {"director": {"type": "string", "minLength": 1}}, "additionalProperties": False,
    }})  # fmt: skip
    for rates in (FaultRates(empty=1.0), FaultRates(noise=1.0)):
        source = FaultyTools(Tables(), rates, seed=0)
        told = await source.call(strict, director(TASKS[0]), WORLDS["q000"])
        assert told.content == {"director": "Anna Bergström 0"}
        assert source.hits == {"calls": 1}


async def test_utilities_are_left_alone():
    tools = FaultyTools(Toolbox(Tables()), FaultRates(**dict.fromkeys(InjectedFault, 1.0)), seed=0)
    call = Call(id="a", name="calculator", arguments={"expression": "6*7"})
    assert (await tools.call(UTILITIES["calculator"].contract, call, World("t"))).content == {"value": 42}
    assert not tools.hits


def test_rates_rise_evenly():
    settings = FaultSettings(start=FaultRates(noise=0.2), end=FaultRates(noise=0.4, timeout=0.1))
    assert settings.at(0) == settings.start
    assert settings.at(1) == settings.end
    assert settings.at(0.5).noise == pytest.approx(0.3)
    assert settings.at(0.5).timeout == pytest.approx(0.05)
    with pytest.raises(InputError, match="less than or equal to 1"):
        build(FaultSettings, {"end": {"noise": 1.5}}, "here")


def test_an_evaluation_can_have_faults():
    settings = ToolSettings(toolset="evidence", facts="evidence", faults={"timeout": 0.1})
    assert Toolkit(settings, 0, Tables()).source.name == "tables+faults"
    assert Toolkit(settings.model_copy(update={"faults": None}), 0, Tables()).source.name == "tables"
