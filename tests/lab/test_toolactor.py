"""The scripted teacher as ToolActor: what its results say, how often they are wrong, and what stands beside them."""

import itertools
import statistics
import time
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from understudy.contract import ToolContract
from understudy.lab.mistakes import Mistakes, corrupted, mistaken
from understudy.lab.relations import VALUES, relations
from understudy.lab.teacher import ScriptedModel
from understudy.lab.toolactor import OTHERS
from understudy.lab.universe import Universe
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


RECORDS = {
    "type": "object",
    "properties": {
        "rows": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "held": {"type": "string"}}},
        }
    },
}


async def rows_of(fact: Fact, seed: int) -> list[dict[str, Any]]:
    """The records of a list that answers about a fact, its own first."""
    returns = orjson.loads(orjson.dumps(RECORDS).replace(b"held", fact.relation.encode()))
    contract = CONTRACT.model_copy(update={"name": f"get_{fact.relation}", "description": "", "returns": returns})
    reply = await ScriptedModel().complete(actor_request([fact], fact.subject, seed, contract))
    return sorted(orjson.loads(reply.content)["rows"], key=lambda row: row["name"] != fact.subject)


async def test_a_list_may_hold_another_record_before_or_behind_whose_name_shares_a_word() -> None:
    returns = orjson.loads(orjson.dumps(RECORDS).replace(b"held", b"runtime"))
    contract = CONTRACT.model_copy(update={"name": "get_runtime", "description": "", "returns": returns})
    fact, others, ours_first = Fact(subject="Khal Zurj", relation="runtime", object="112"), [], 0
    for seed in range(400):
        reply = await ScriptedModel().complete(actor_request([fact], "Khal Zurj", seed, contract))
        rows = orjson.loads(reply.content)["rows"]
        assert {"name": "Khal Zurj", "runtime": "112"} in rows
        others += [row for row in rows if row["name"] != "Khal Zurj"]
        ours_first += rows[0]["name"] == "Khal Zurj"
    assert all({"Khal", "Zurj"} & set(row["name"].split()) for row in others)
    assert abs(len(others) / 400 - OTHERS) < 0.1
    assert abs((400 - ours_first) / len(others) - 0.5) < 0.1


@pytest.mark.parametrize("relation", [relation.name for relation in relations().values() if relation.to in VALUES])
async def test_the_other_record_of_a_list_cannot_be_told_by_its_value(relation: str) -> None:
    """A simulator that made up years of any four digits taught to look for the number that begins with 1."""
    entities = itertools.chain.from_iterable(Universe(seed).entities for seed in itertools.count())
    facts = (fact for entity in entities for fact in entity.statements() if fact.relation == relation)
    answers = [await rows_of(fact, seed) for seed, fact in enumerate(itertools.islice(facts, 400))]
    pairs = [rows for rows in answers if len(rows) == 2]
    mine, other = ([int(row[relation].split()[-1]) for row in rows] for rows in zip(*pairs, strict=True))
    apart = max(abs(sum(a <= x for a in mine) / len(mine) - sum(b <= x for b in other) / len(other)) for x in mine)
    assert apart < 1.63 * (2 / len(pairs)) ** 0.5  # Kolmogorov-Smirnov, two samples, p = 0.01


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
