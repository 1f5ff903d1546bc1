"""Retrieve-then-extract: what it searches for, and what it takes as the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.evaluation.runner import evaluate
from understudy.readers import read_tasks
from understudy.readers.rows import read_rows
from understudy.rollout import Limits, rollout
from understudy.scoring import Rule
from understudy.search.memory import MemoryIndex
from understudy.search.tools import SEARCH, SearchTools
from understudy.task import Evidence, Passage, Task
from understudy.teachers.extract import Wanted, best_span, wanted
from understudy.teachers.reading import Page
from understudy.teachers.retrieve import RetrievePolicy, either, named
from understudy.trace import Stop
from understudy.world import World

PASSAGES = [
    ("Night Tide (1961 film)", "Night Tide is a 1961 American film, written and directed by Curtis Harrington."),
    ("Curtis Harrington", "Curtis Harrington (September 17, 1926 – May 6, 2007) was an American director. "
     "He was born in Los Angeles and died in Hollywood."),
    ("Red Harbour", "Red Harbour is a 1950 French film directed by Anne Lac."),
    ("Anne Lac", "Anne Lac (born 4 March 1910) was a French director."),
    ("Ottava", "The Ottava is a river. It flows through the town of Lindenfeld and is 44 kilometres long."),
]  # fmt: skip
INDEX = MemoryIndex.build(Passage(title=title, text=text) for title, text in PASSAGES)


async def answer(question, answers=("?",)):
    task = Task(id="t", question=question, answers=answers, evidence=Evidence())
    trace = await rollout(task, (SEARCH,), World("t"), RetrievePolicy(), SearchTools(INDEX), Limits(max_turns=4), 0)
    assert trace.stop is Stop.ANSWERED
    return trace.answer


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When was the director of film Night Tide (1961 Film) born?", "September 17, 1926"),
        ("In what year did the director of Night Tide die?", "2007"),
        ("Where was the director of Night Tide born?", "Los Angeles"),
        ("Where did the director of film Night Tide die?", "Hollywood"),
        ("What nationality is the director of film Red Harbour?", "French"),
        ("Which film was released first, Night Tide or Red Harbour?", "Red Harbour"),
        ("Which film has the director who is older, Night Tide or Red Harbour?", "Red Harbour"),
        ("Which film has the director who is younger, Night Tide or Red Harbour?", "Night Tide"),
        ("Are both films Night Tide and Red Harbour from the same country?", "no"),
        ("Are Curtis Harrington and Anne Lac both directors?", "yes"),
        ("How long is the Ottava?", "44"),
        ("Which town does the Ottava flow through?", "Lindenfeld"),
    ],
)
async def test_answers_are_read_from_what_is_found(question, expected):
    assert await answer(question) == expected


async def test_the_answer_of_the_task_is_never_looked_at():
    question = "Where was the director of Night Tide born?"
    assert await answer(question, ("Los Angeles",)) == await answer(question, ("Nowhere",))


async def test_without_a_search_it_can_do_nothing():
    task = Task(id="t", question="Who?", answers=("?",))
    trace = await rollout(task, (), World("t"), RetrievePolicy(), SearchTools(INDEX), Limits(), 0)
    assert (trace.stop, trace.detail) == (Stop.POLICY_ERROR, "the toolset has no search")


def test_what_is_compared():
    assert either("Who was born later, Dick Stahlman or Ilona Makláry-Buzek?") == (
        "Dick Stahlman",
        "Ilona Makláry-Buzek",
    )
    assert either("Was Kurt Szilier or Lee Zeldin born first?") == ("Kurt Szilier", "Lee Zeldin")
    assert either("Are Rig Cheshmeh, Aliabad and Dudah Chay both located in the same country?") == (
        "Rig Cheshmeh, Aliabad", "Dudah Chay",
    )  # fmt: skip
    assert either("Which film was released first, 2012: Ice Age or The Revolt Of The Slaves?") == (
        "2012: Ice Age", "The Revolt Of The Slaves",
    )  # fmt: skip
    assert either("Who directed Pride and Prejudice?") is None
    assert named("When did the director of film My First Love (1945 Film) die?") == ["My First Love (1945 Film)"]


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When did he die?", Wanted.DATE),
        ("In which year was it built?", Wanted.YEAR),
        ("How many people live there?", Wanted.NUMBER),
        ("What nationality is he?", Wanted.NATION),
        ("In which city was she born?", Wanted.PLACE),
        ("Who wrote it?", Wanted.PERSON),
        ("What song is it?", Wanted.NAME),
    ],
)
def test_types_of_answers(question, kind):
    assert wanted(question) is kind


def test_a_span_of_the_question_is_no_answer():
    pages = [Page("X", "Ann Ash and Ben Bell built the Red Bridge.")]
    assert best_span("Who built the Red Bridge with Ann Ash?", pages) == "Ben Bell"
    assert best_span("When was the Red Bridge built?", pages) == ""


@given(st.text(min_size=1, max_size=200), st.lists(st.tuples(st.text(max_size=30), st.text(max_size=200)), max_size=4))
def test_any_question_and_any_passage_can_be_read(question, found):
    best_span(question, [Page(*page) for page in found])
    assert len(named(question)) <= 3


@pytest.mark.parametrize(("name", "least"), [("hotpotqa", 0.2), ("musique", 0.05), ("2wikimultihopqa", 0.55)])
async def test_it_is_a_baseline_on_real_questions(shared_data, name, least):
    tasks = [task for task in read_tasks(shared_data / f"{name}.jsonl") if task.split == "dev"]
    rows = read_rows(shared_data / "passages.jsonl.gz")
    index = MemoryIndex.build(Passage(title=row.value["title"], text=row.value["text"]) for row in rows)
    tools, offered = SearchTools(index), {task.id: (SEARCH,) for task in tasks}
    result = await evaluate(tasks, offered, None, RetrievePolicy(), tools, Limits(max_turns=4), rule=Rule(name))
    assert result.em.value >= least
    assert set(result.stops) == {Stop.ANSWERED}
