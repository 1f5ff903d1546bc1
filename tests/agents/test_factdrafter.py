import orjson
import pytest
from hypothesis import given

from strategies import json_values
from understudy.agents.factdrafter import MAX_PASSAGES_CHARACTERS, FactDrafter
from understudy.errors import ModelError
from understudy.llm.scripted import ScriptedChat
from understudy.task import Evidence, Fact, Passage, Task
from understudy.world import FactsFrom

QUESTION = "When was the director of Night Tide born?"
FACT = {"subject": "Night Tide", "relation": "director", "object": "Curtis Harrington"}
BORN = {"subject": "Curtis Harrington", "relation": "date of birth", "object": "17 September 1926"}


def task(**evidence):
    return Task(id="t", question=QUESTION, answers=("GOLD",), evidence=Evidence(**evidence))


def drafter(*replies, attempts=3):
    model = ScriptedChat([orjson.dumps(reply).decode() for reply in replies])
    return model, FactDrafter(model, attempts)


async def test_annotated_facts_need_no_model():
    model, agent = drafter()
    world = await agent.draft(task(facts=(Fact(**FACT),), passages=(Passage(title="x", text="y"),)), from_evidence=True)
    assert (world.facts, world.facts_from) == ((Fact(**FACT),), FactsFrom.EVIDENCE)
    assert model.requests == []


async def test_passages_are_read_within_a_budget_needed_ones_first():
    passages = [Passage(title=f"p{index}", text="z" * 9_000) for index in range(20)]
    passages[13] = Passage(title="needed", text="Night Tide was directed by Curtis Harrington.", supporting=True)
    model, agent = drafter({"facts": [FACT, BORN]})
    world = await agent.draft(task(passages=tuple(passages)), from_evidence=True)
    assert world.facts_from is FactsFrom.EVIDENCE
    assert world.about("curtis harrington") == [Fact(**FACT), Fact(**BORN)]
    sent = orjson.loads(model.requests[0].messages[1]["content"])["passages"]
    assert sent[0]["title"] == "needed"
    assert "supporting" not in sent[0]
    assert sum(len(passage["text"]) for passage in sent) <= MAX_PASSAGES_CHARACTERS


async def test_without_evidence_the_question_is_all_it_gets():
    model, agent = drafter({"facts": [FACT]})
    evidence = {"passages": (Passage(title="secret", text="secret"),), "facts": (Fact(**BORN),)}
    world = await agent.draft(task(**evidence), from_evidence=False)
    assert (world.facts, world.facts_from) == ((Fact(**FACT),), FactsFrom.DRAFTED)
    assert orjson.loads(model.requests[0].messages[1]["content"]) == {
        "question": QUESTION,
        "passages": [],
        "problems": [],
    }


@pytest.mark.parametrize(
    ("second", "accepted"),
    [
        ({**BORN, "object": "3 May 1930"}, False),
        ({**BORN, "object": "September 17, 1926"}, True),
        ({**BORN, "object": "1926"}, True),
        ({**BORN, "relation": "date_of_birth", "object": "1930"}, False),
        ({**BORN, "subject": "Curtis Hanson", "object": "1945"}, True),
        ({**FACT, "object": "Somebody Else"}, True),  # a film may have two directors
    ],
)
async def test_a_contradictory_draft_is_repaired(second, accepted):
    model, agent = drafter({"facts": [FACT, BORN, second]}, {"facts": [FACT, BORN]})
    world = await agent.draft(task())
    assert len(world.facts) == (3 if accepted else 2)
    if not accepted:
        (problem,) = orjson.loads(model.requests[1].messages[1]["content"])["problems"]
        assert problem.startswith("contradiction: date")


async def test_the_question_is_no_fact():
    model, agent = drafter({"facts": [{**FACT, "subject": QUESTION, "relation": "answer"}]}, {"facts": [FACT]})
    assert (await agent.draft(task())).facts == (Fact(**FACT),)
    assert "repeats the question" in model.requests[1].messages[1]["content"]


@given(json_values)
async def test_no_draft_breaks_it(junk):
    for reply in (junk, {"facts": junk}, {"facts": [junk]}, {"facts": [{**FACT, "object": junk}]}):
        _, agent = drafter(reply, attempts=1)
        try:
            world = await agent.draft(task())
        except ModelError:
            pass
        else:
            assert world.facts
