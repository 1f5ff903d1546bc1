import orjson
import pytest
from hypothesis import given

from strategies import json_values
from understudy.agents.toolactor import MAX_FACTS, ToolActor, relevant_facts
from understudy.contract import ToolContract
from understudy.errors import ModelError, SimulatorError
from understudy.llm.scripted import ScriptedChat
from understudy.task import Fact
from understudy.trace import Status
from understudy.world import World

DIRECTED = Fact(subject="Ali (film)", relation="director", object="Michael Mann")
BORN = Fact(subject="Michael Mann", relation="place of birth", object="Chicago")
OTHER = Fact(subject="Heat", relation="director", object="Somebody Else")
WORLD = World("t", [DIRECTED, BORN, OTHER])
STRING = {"type": "string"}
CONTRACT = ToolContract(
    name="get_director",
    description="Look up the director of a film.",
    parameters={"type": "object", "properties": {"film": STRING}, "required": ["film"]},
    returns={"type": "object", "properties": {"director": STRING}, "required": ["director"]},
)
MISS = {"error": {"status": "tool_error", "message": "no record of Ali"}}


def actor(*replies, attempts=3):
    model = ScriptedChat([reply if isinstance(reply, str) else orjson.dumps(reply).decode() for reply in replies])
    return model, ToolActor(model, attempts)


async def test_a_result_is_worded_from_the_facts_of_the_call():
    model, agent = actor({"director": "Michael Mann"})
    remembered = await agent.act(CONTRACT, {"film": "Ali"}, WORLD)
    assert (remembered.content, remembered.status) == ({"director": "Michael Mann"}, "ok")
    sent = orjson.loads(model.requests[0].messages[1]["content"])
    assert sent["facts"] == [DIRECTED.model_dump()]
    assert sent["tool"] == CONTRACT.model_dump()
    assert (sent["arguments"], sent["problems"]) == ({"film": "Ali"}, [])


async def test_a_miss_is_a_result():
    _, agent = actor(MISS)
    remembered = await agent.act(CONTRACT, {"film": "Unheard Of"}, WORLD)
    assert (remembered.content, remembered.status) == (MISS, "tool_error")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I can't", "not one JSON object"),
        ([1], "not of type"),
        ({"actor": "x"}, "director"),
        ({"director": 7}, "director"),
        ({"director": "x" * 10_000}, "bytes"),
        ("[" * 300 + "]" * 300, "not"),
        ({"director": "Somebody Else"}, "but director of Ali (film) is 'Michael Mann'"),
        ({"error": {"status": "simulator_failure", "message": "x"}}, "a miss is"),
        ({"error": {"status": "tool_error", "message": ""}}, "a miss is"),
        ({"error": {"status": "tool_error", "message": [1]}}, "a miss is"),
        ({"error": "none"}, "director"),
    ],
)
async def test_a_bad_result_is_repaired(reply, reason):
    model, agent = actor(reply, {"director": "Michael Mann"})
    remembered = await agent.act(CONTRACT, {"film": "Ali (film)"}, WORLD)
    assert remembered.content == {"director": "Michael Mann"}
    problems = orjson.loads(model.requests[1].messages[1]["content"])["problems"]
    assert any(reason in problem for problem in problems), problems


async def test_giving_up_is_the_simulators_failure():
    _, agent = actor("?", "?", attempts=2)
    with pytest.raises(SimulatorError, match="get_director: toolactor: no usable reply in 2 attempts"):
        await agent.act(CONTRACT, {"film": "Ali"}, WORLD)
    agent = ToolActor(ScriptedChat([ModelError("down")]))
    with pytest.raises(SimulatorError, match="get_director: down"):
        await agent.act(CONTRACT, {"film": "Ali"}, WORLD)


async def test_equal_calls_ask_the_same():
    spellings = [{"film": "Ali", "year": 1}, {"year": 1.0, "film": " Ali "}, {"film": "Ali\n", "year": 1}]
    loose = CONTRACT.model_copy(update={"parameters": {"type": "object"}})
    model, agent = actor(*[{"director": "Michael Mann"}] * 5)
    for arguments in spellings:
        await agent.act(loose, arguments, WORLD)
    assert len({orjson.dumps(request.messages) for request in model.requests}) == 1
    assert len({request.seed for request in model.requests}) == 1
    await agent.act(loose, {"film": "Heat"}, World("t", [DIRECTED]))
    await agent.act(loose, {"film": "Ali", "year": 1}, World("other", [DIRECTED, BORN, OTHER]))
    assert len({request.seed for request in model.requests}) == 3


def test_facts_are_selected_in_code():
    assert relevant_facts({"person": "michael mann"}, WORLD) == [DIRECTED, BORN]
    assert relevant_facts({"query": "Which films did Michael Mann direct?"}, WORLD) == [DIRECTED, BORN]
    assert relevant_facts({"filter": {"titles": ["The Heat"]}}, WORLD) == [OTHER]
    assert relevant_facts({"film": "Heather", "year": 3}, WORLD) == []
    crowd = World("t", [Fact(subject="Ali", relation=f"r{index}", object="x") for index in range(100)])
    assert len(relevant_facts({"film": "Ali"}, crowd)) == MAX_FACTS


@given(json_values)
async def test_no_result_breaks_it(junk):
    for reply in (junk, {"director": junk}, {"error": junk}, {"error": {"status": "tool_error", "message": junk}}):
        _, agent = actor(orjson.dumps(reply).decode(), attempts=1)
        try:
            remembered = await agent.act(CONTRACT, {"film": "Unheard Of"}, WORLD)
        except SimulatorError:
            pass
        else:
            assert remembered.status == Status.TOOL_ERROR or CONTRACT.result_violations(remembered.content) == []
