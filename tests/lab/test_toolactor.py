"""The scripted teacher as ToolActor: what its results say, how often they are wrong, and what stands beside them."""

import statistics
import time
from collections.abc import Sequence

import orjson
import pytest

from understudy.contract import ToolContract
from understudy.lab.mistakes import Mistakes, corrupted, mistaken
from understudy.lab.teacher import ScriptedModel
from understudy.lab.toolactor import ALIKE, OTHERS
from understudy.llm.protocol import ChatRequest
from understudy.schema import dumps
from understudy.task import Fact

CONTRACT = ToolContract(
    name="get_film_director",
    description="Look up who directed a film.",
    parameters={"type": "object", "properties": {"film": {"type": "string"}}, "required": ["film"]},
    returns={"type": "object", "properties": {"director": {"type": "string"}}, "required": ["director"]},
)


def actor_request(facts: Sequence[Fact], film: str, seed: int = 0, tool: ToolContract = CONTRACT) -> ChatRequest:
    payload = {
        "tool": tool.model_dump(),
        "arguments": {"film": film},
        "facts": [fact.model_dump() for fact in facts],
        "problems": [],
    }
    system = {"role": "system", "content": "You are the ToolActor.\nRules."}
    return ChatRequest("toolactor", (system, {"role": "user", "content": dumps(payload)}), seed=seed)


@pytest.mark.parametrize("relation", ["director", "film director"])
async def test_as_tool_actor_it_says_what_the_facts_say_or_misses(relation: str) -> None:
    facts = [Fact(subject="Khal Zurj", relation=relation, object="Vrem Dalc")]
    model = ScriptedModel()
    assert orjson.loads((await model.complete(actor_request(facts, "khal zurj"))).content) == {"director": "Vrem Dalc"}
    missed = orjson.loads((await model.complete(actor_request(facts, "Other Film"))).content)
    assert missed["error"]["status"] == "tool_error"


async def test_as_tool_actor_it_errs_as_often_as_told() -> None:
    facts = [Fact(subject="Khal Zurj", relation="director", object="Vrem Dalc")]
    model = ScriptedModel(0, Mistakes(broken_result=0.2, wrong_fact=0.3))
    contents = [(await model.complete(actor_request(facts, "Khal Zurj", seed))).content for seed in range(1_000)]
    right = [content == '{"director":"Vrem Dalc"}' for content in contents]
    wrong = [content == '{"director":"Vrim Delc"}' for content in contents]
    assert abs(statistics.mean(wrong) - 0.3) < 0.04
    assert abs(statistics.mean(right) - 0.5) < 0.04


async def test_corrupt_answers_are_a_pure_function_of_the_fact() -> None:
    facts = [Fact(subject=f"Film {index}", relation="director", object=f"Person {index}") for index in range(500)]
    answers = [
        [
            (await ScriptedModel(seed, corrupt=0.2).complete(actor_request([fact], fact.subject, seed))).content
            for fact in facts
        ]
        for seed in range(2)
    ]
    assert answers[0] == answers[1]
    wrong = [orjson.loads(said)["director"] != fact.object for said, fact in zip(answers[0], facts, strict=True)]
    assert abs(statistics.mean(wrong) - 0.2) < 0.05
    assert [corrupted(fact, 0.2) != fact for fact in facts] == wrong


@pytest.mark.parametrize("value", ["1204", "12 March 1887", "Vrem Dalc", "95 minutes"])
def test_a_mistaken_value_has_the_same_shape(value: str) -> None:
    wrong = mistaken(value)
    assert wrong != value
    assert [word.isdigit() for word in wrong.split()] == [word.isdigit() for word in value.split()]


async def test_another_record_of_a_list_can_be_told_by_its_name_alone() -> None:
    item = {"type": "object", "properties": {"name": {"type": "string"}, "runtime": {"type": "integer"}}}
    returns = {"type": "object", "properties": {"rows": {"type": "array", "items": item}}}
    contract = CONTRACT.model_copy(update={"name": "get_runtime", "description": "Gives it.", "returns": returns})
    facts, others, ours_first = [Fact(subject="Khal Zurj", relation="runtime", object="112")], [], 0
    for seed in range(400):
        reply = await ScriptedModel().complete(actor_request(facts, "Khal Zurj", seed, contract))
        rows = orjson.loads(reply.content)["rows"]
        assert {"name": "Khal Zurj", "runtime": 112} in rows
        others += [row for row in rows if row["name"] != "Khal Zurj"]
        ours_first += rows[0]["name"] == "Khal Zurj"
    assert all(100 <= row["runtime"] <= 999 for row in others)
    alike = [bool({"Khal", "Zurj"} & set(row["name"].split())) for row in others]
    assert abs(statistics.mean(alike) - ALIKE) < 0.1
    assert abs(len(others) / 400 - OTHERS) < 0.1
    assert abs((400 - ours_first) / len(others) - 0.5) < 0.1


async def test_it_answers_thousands_of_requests_per_second() -> None:
    model = ScriptedModel()
    requests = [actor_request([Fact(subject="A", relation="director", object="B")], "A", seed) for seed in range(300)]
    fastest = min([await _seconds(model, requests) for _ in range(5)])
    assert len(requests) / fastest > 1_000


async def _seconds(model: ScriptedModel, requests: Sequence[ChatRequest]) -> float:
    started = time.perf_counter()
    for request in requests:
        await model.complete(request)
    return time.perf_counter() - started
