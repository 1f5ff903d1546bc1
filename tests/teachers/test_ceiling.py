"""The policies that know what annotators know: they say what a scorer and a search allow."""

from __future__ import annotations

import pytest

from understudy.readers import read_tasks
from understudy.rollout import Limits, rollout
from understudy.scoring import exact_match
from understudy.search.memory import MemoryIndex
from understudy.search.tools import SEARCH, SearchTools
from understudy.task import Evidence, Passage, Task
from understudy.teachers.ceiling import GoldPolicy, SupportPolicy
from understudy.tools.toolbox import Toolbox
from understudy.trace import Stop
from understudy.world import World

FOUND = [
    Passage(title="Night Tide", text="Directed by Curtis Harrington."),
    Passage(title="Curtis Harrington", text="Born in Los Angeles."),
]
TOOLS = SearchTools(MemoryIndex.build(FOUND))


async def run(policy, answer, titles=("Night Tide", "Curtis Harrington"), question="Where was the director born?"):
    supports = tuple(Passage(title=title, text="", supporting=True) for title in titles)
    task = Task(id="t", question=question, answers=(answer,), evidence=Evidence(passages=supports))
    return await rollout(task, (SEARCH,), World("t"), policy, TOOLS, Limits(max_turns=4), 0)


async def test_supports_are_searched_for_and_the_answer_has_to_be_shown():
    trace = await run(SupportPolicy(), "Los Angeles")
    assert (trace.answer, len(trace.calls())) == ("Los Angeles", 2)
    assert [call.arguments["query"] for call, _ in trace.calls()] == ["Night Tide", "Curtis Harrington"]
    missed = await run(SupportPolicy(), "Paris")
    assert (missed.answer, len(missed.calls())) == ("unknown", 3)  # the question itself, as a last resort


async def test_what_has_to_be_worked_out_needs_every_support():
    assert (await run(SupportPolicy(), "yes")).answer == "yes"
    assert (await run(SupportPolicy(), "yes", ("Night Tide", "Nowhere"))).answer == "unknown"
    assert (await run(SupportPolicy(), "yes", ())).answer == "unknown"
    question = "Is Night Tide or Red Harbour older?"
    assert (await run(SupportPolicy(), "Red Harbour", question=question)).answer == "Red Harbour"


async def test_gold_answers_at_once_and_a_broken_answer_is_a_fault():
    assert (await run(GoldPolicy(), "Los Angeles")).answer == "Los Angeles"
    assert (await run(GoldPolicy(), "<answer>")).stop is Stop.POLICY_ERROR


async def test_without_a_search_there_is_no_ceiling():
    task = Task(id="t", question="Who?", answers=("?",))
    trace = await rollout(task, (), World("t"), SupportPolicy(), Toolbox(TOOLS), Limits(), 0)
    assert (trace.stop, trace.detail) == (Stop.POLICY_ERROR, "the toolset has no search")


@pytest.mark.parametrize("name", ["hotpotqa", "musique", "2wikimultihopqa", "bamboogle"])
def test_gold_through_the_scorer_is_exact(shared_data, name):
    from understudy.reward.correctness import rule_of

    tasks = list(read_tasks(shared_data / f"{name}.jsonl"))
    assert all(exact_match(task.answers[0], task.answers, rule_of(task)) for task in tasks)
