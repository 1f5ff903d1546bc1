import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import json_values
from understudy.agents.toolmaker import ToolMaker, contract_problems
from understudy.contract import ToolContract
from understudy.errors import ModelError
from understudy.llm.scripted import ScriptedChat
from understudy.task import Kind

QUESTION = "When was the director of the film Night Tide born?"


def tool(name, takes, gives, **changes):
    made = {
        "name": name,
        "description": f"Look up the {gives.replace('_', ' ')} of a {takes}.",
        "parameters": {"type": "object", "properties": {takes: {"type": "string"}}, "required": [takes]},
        "returns": {"type": "object", "properties": {gives: {"type": "string"}}, "required": [gives]},
    }
    return {**made, **changes}


DIRECTOR, BORN = tool("get_film_director", "film", "director"), tool("get_birth_date", "person", "date_of_birth")
BUDGET = tool("get_film_budget", "film", "budget")
GOOD = {"kind": "bridge", "utilities": ["date_difference"], "tools": [DIRECTOR, BORN, BUDGET]}


def with_tool(**changes):
    return {**GOOD, "tools": [DIRECTOR, BORN, {**BUDGET, **changes}]}


def schema(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


def dump(value):
    return orjson.dumps(value).decode()


async def test_a_toolset_is_made_in_a_seeded_order():
    made = [await ToolMaker(ScriptedChat([dump(GOOD)])).make(QUESTION, seed) for seed in range(12)]
    assert made[0].kind is Kind.BRIDGE
    orders = {tuple(contract.name for contract in toolset.contracts) for toolset in made}
    assert {frozenset(order) for order in orders} == {
        frozenset(("get_film_director", "get_birth_date", "get_film_budget", "date_difference"))
    }
    assert len(orders) > 3
    assert made[3] == await ToolMaker(ScriptedChat([dump(GOOD)])).make(QUESTION, 3)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({**GOOD, "kind": "riddle"}, "kind"),
        ({**GOOD, "utilities": ["time_machine"]}, "there is no 'time_machine'"),
        ({**GOOD, "tools": [DIRECTOR, BORN]}, "tools: "),
        ({**GOOD, "tools": [DIRECTOR] * 7}, "tools: "),
        ({**GOOD, "tools": [DIRECTOR, BORN, BORN]}, "used 2 times"),
        (with_tool(name="calculator"), "name of a utility"),
        (with_tool(name="GetBudget"), "snake_case"),
        (with_tool(name="get budget"), "name"),
        (with_tool(description=""), "description"),
        (with_tool(description="x" * 2000), "description"),
        (with_tool(parameters={"type": "array"}), "parameters"),
        (with_tool(parameters={"type": "object", "properties": {}}), "have properties"),
        (with_tool(parameters={**schema(film={"type": "string"}), "required": ["title"]}), "title is required"),
        (with_tool(parameters={"type": "object", "properties": {"film": {}}}), "at least one"),
        (with_tool(parameters=schema(film={"type": "text"})), "invalid schema"),
        (with_tool(parameters=schema(film={"$ref": "https://example.org/x.json"})), "invalid schema"),
        (with_tool(parameters=schema(film={"enum": ["x" * 20_000]})), "bytes"),
        (with_tool(returns=schema(budget={"type": "object"})), "must be of type string, integer"),
        (
            with_tool(returns=schema(hits={"type": "array", "items": schema(of={"type": "array"})})),
            "its records must be",
        ),
        (with_tool(returns=schema(hits={"type": "array"})), "or an array of objects"),
        (with_tool(returns={"type": "object"}), "have properties"),
        (with_tool(description=f"Answers: {QUESTION}"), "repeats the question"),
    ],
)
async def test_a_refused_toolset_is_made_again_with_the_reasons(bad, reason):
    model = ScriptedChat([dump(bad), dump(GOOD)])
    toolset = await ToolMaker(model).make(QUESTION, 0)
    assert len(toolset.contracts) == 4
    problems = orjson.loads(model.requests[1].messages[1]["content"])["problems"]
    assert any(reason in problem for problem in problems), problems


async def test_a_model_that_never_complies_is_an_error():
    model = ScriptedChat(lambda request: dump({**GOOD, "tools": []}))
    with pytest.raises(ModelError, match="toolmaker: no usable reply in 2 attempts"):
        await ToolMaker(model, attempts=2).make(QUESTION, 0)


@given(json_values, st.sampled_from(["kind", "utilities", "tools", "name", "description", "parameters", "returns"]))
async def test_no_value_in_any_place_breaks_it(junk, place):
    bad = {**GOOD, place: junk} if place in GOOD else with_tool(**{place: junk})
    try:
        toolset = await ToolMaker(ScriptedChat([dump(bad)]), attempts=1).make(QUESTION, 0)
    except ModelError:
        pass
    else:
        assert len({contract.name for contract in toolset.contracts}) == len(toolset.contracts)


CONTRACTS = [ToolContract(**made) for made in GOOD["tools"]]


def test_good_contracts_have_no_problems():
    assert contract_problems(CONTRACTS, QUESTION, ["16 July 1926"]) == []


@pytest.mark.parametrize(
    "leaking",
    [
        tool("get_x", "film", "x", description="Returns 16 July 1926."),
        tool("get_x", "film", "x", parameters=schema(film={"type": "string", "default": "16 July 1926"})),
        tool("get_x", "film", "x", returns=schema(x={"type": "string", "examples": ["On 16 July, 1926"]})),
    ],
)
def test_a_gold_answer_in_any_tool_text_is_a_leak(leaking):
    (problem,) = contract_problems([*CONTRACTS, ToolContract(**leaking)], QUESTION, ["1926", "16 July 1926"])
    assert problem == "get_x: its text contains an accepted answer"


def test_yes_and_no_are_no_leaks():
    contract = ToolContract(**tool("get_x", "film", "x", description="Whether a film won a prize, yes or no."))
    assert contract_problems([contract], "Did it win?", ["yes"]) == []


@pytest.mark.parametrize(
    "oracle",
    [
        tool("get_x", "film", "x", description="Says when the director of the film Night Tide was born."),
        tool("director_of_film_night_tide_born", "film", "x", description="A date."),
        tool("get_x", "film", "x", parameters={"type": "object", "properties": {}}),
    ],
)
def test_one_call_oracles_are_found(oracle):
    (problem,) = contract_problems([*CONTRACTS, ToolContract(**oracle)], QUESTION)
    assert problem.startswith(oracle["name"])
