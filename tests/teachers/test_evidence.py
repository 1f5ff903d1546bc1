"""The evidence teacher through the loop: complete traces, one world for all, and honest failures."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from understudy.contract import ToolContract
from understudy.errors import ModelError, ToolError
from understudy.protocols import Teacher
from understudy.readers import read_tasks
from understudy.rollout import Limits, rollout
from understudy.synthesis.audit import audit
from understudy.task import Evidence, Fact, Hop, Kind, Task
from understudy.teachers.evidence import (
    EvidencePolicy,
    EvidenceTeacher,
    EvidenceTools,
    UnplannableError,
    evidence_world,
    plan,
    prepare,
)
from understudy.teachers.plan import Plan
from understudy.teachers.toolset import MAX_TOOLS, MIN_TOOLS, evidence_toolset
from understudy.tools.utilities import UTILITIES
from understudy.trace import Call, Source, Status, Stop, Trace, Turn


def triples(question: str, answer: str, kind: Kind, *facts: tuple[str, str, str]) -> Task:
    made = tuple(Fact(subject=s, relation=r, object=o) for s, r, o in facts)
    return Task(id=question, question=question, answers=(answer,), kind=kind, evidence=Evidence(facts=made))


CHAIN = triples(
    "Where was the director of film Alpha born?",
    "Oslo",
    Kind.COMPOSITIONAL,
    ("Alpha", "director", "Ann Ash"),
    ("Ann Ash", "place of birth", "Oslo"),
)
ORDER = triples(
    "Which film has the director born first, Alpha or Beta?",
    "Beta",
    Kind.BRIDGE_COMPARISON,
    ("Alpha", "director", "Ann Ash"),
    ("Beta", "director", "Bob Birch"),
    ("Ann Ash", "date of birth", "1 May 1950"),
    ("Bob Birch", "date of birth", "1 May 1920"),
)
LIVES = triples(
    "Who lived longer, Ann Ash or Bob Birch?",
    "Bob Birch",
    Kind.COMPARISON,
    ("Ann Ash", "date of birth", "1 May 1950"),
    ("Ann Ash", "date of death", "1 May 1960"),
    ("Bob Birch", "date of birth", "1 May 1920"),
    ("Bob Birch", "date of death", "1 May 1990"),
)
SAME = triples(
    "Are Ann Ash and Bob Birch of the same nationality?",
    "yes",
    Kind.COMPARISON,
    ("Ann Ash", "country of citizenship", "U.S."),
    ("Bob Birch", "country of citizenship", "American"),
)
OPEN = Task(
    id="open",
    question="When did the mine open in the town where Alpha was filmed?",
    answers=("1907",),
    hops=2,
    evidence=Evidence(
        hops=(
            Hop(question="where did they film Alpha", answer="in Gamma"),
            Hop(question="when did the mine in #1 open", answer="1907"),
        )
    ),
    source="musique",
)
TASKS = [CHAIN, ORDER, LIVES, SAME, OPEN]


async def trace_of(task: Task, seed: int, detours: float = 0.0) -> Trace:
    teacher = EvidenceTeacher(detours)
    toolset, world = await teacher.prepare(task, seed)
    return await rollout(task, toolset, world, teacher.policy, teacher.tools, Limits(), seed)


@pytest.mark.parametrize("detours", [0.0, 1.0])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.answers[0])
async def test_every_seed_gives_a_trace_that_passes_the_audit(task: Task, detours: float) -> None:
    for seed in range(20):
        trace = await trace_of(task, seed, detours)
        assert trace.stop is Stop.ANSWERED, trace.detail
        _, world = prepare(task, seed)
        assert audit(trace, task, world) == []


async def test_seeds_vary_wording_and_grouping_and_nothing_else_does() -> None:
    traces = [await trace_of(ORDER, seed) for seed in range(20)]
    assert len({step.turn.thought for trace in traces for step in trace.steps if isinstance(step.turn, Turn)}) >= 20
    assert {len(trace.steps) for trace in traces} >= {3, 6}
    again = await trace_of(ORDER, 7)
    assert again.steps == traces[7].steps
    assert again.toolset == traces[7].toolset


async def test_life_spans_are_computed() -> None:
    trace = await trace_of(LIVES, 1)
    computed = [seen.content["years"] for seen in trace.observations if seen.source is Source.UTILITY]
    assert computed == [10, 70]


async def test_a_detour_finds_nothing_and_is_recovered_from() -> None:
    traces = [await trace_of(CHAIN, seed, detours=1.0) for seed in range(10)]
    missed = [seen for trace in traces for seen in trace.observations if seen.status is Status.TOOL_ERROR]
    assert len(missed) >= 5
    assert all(trace.answer == "Oslo" for trace in traces)
    assert all("no record of" in seen.content["error"]["message"] for seen in missed)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.answers[0])
def test_toolsets_hold_what_is_needed_and_distractors(task: Task) -> None:
    made = plan(task)
    assert isinstance(made, Plan)
    needed = {lookup.relation.key for lookup in made.lookups}
    for seed in range(30):
        toolset = evidence_toolset(made, seed)
        names = [tool.name for tool in toolset]
        specific = [name for name in names if name not in UTILITIES]
        assert len(set(names)) == len(names)
        assert MIN_TOOLS <= len(specific) <= MAX_TOOLS
        assert len(specific) > len(needed)
        assert all(any(name.endswith(key) for name in specific) for key in needed)
    assert evidence_toolset(made, 3) == evidence_toolset(made, 3)


async def test_an_observation_depends_on_world_contract_and_arguments_only() -> None:
    toolset, world = prepare(ORDER, 0)
    tools = EvidenceTools()
    questions = [("director", "Alpha"), ("director", " BETA "), ("date_of_birth", "Ann Ash"), ("director", "Gamma")]

    async def ask(key: str, name: str) -> object:
        tool = next(tool for tool in toolset if tool.name.endswith(key))
        arguments = {next(iter(tool.parameters["required"])): name}
        try:
            return (await tools.call(tool, Call(id="c", name=tool.name, arguments=arguments), world)).content
        except ToolError as error:
            return str(error)

    first = {question: await ask(*question) for question in questions}
    shuffled = random.Random(1).sample(questions * 5, 20)
    assert await asyncio.gather(*(ask(*question) for question in shuffled)) == [first[key] for key in shuffled]
    assert "no record of director for 'Gamma'" in str(first["director", "Gamma"])
    assert "Bob Birch" in str(first["director", " BETA "])


async def test_open_questions_may_be_worded_otherwise() -> None:
    toolset, world = prepare(OPEN, 0)
    tool = next(tool for tool in toolset if tool.name == "search_date")

    async def ask(question: str) -> object:
        call = Call(id="c", name=tool.name, arguments={"question": question})
        return (await EvidenceTools().call(tool, call, world)).content

    assert await ask("When did the mine open in Gamma?") == {"date": "1907"}
    with pytest.raises(ToolError, match="no record"):
        await ask("When did the harbour of Delta freeze over?")


async def test_a_tool_that_is_no_look_up_of_one_thing_has_no_record() -> None:
    tool = ToolContract(name="anything", description="", parameters={"type": "object"}, returns={})
    world = prepare(CHAIN, 0)[1]
    with pytest.raises(ToolError, match="no record"):
        await EvidenceTools().call(tool, Call(id="c", name="anything", arguments={"x": "Alpha", "y": 3}), world)


async def test_the_policy_stops_where_annotations_end() -> None:
    toolset, _ = prepare(CHAIN, 0)
    teacher = EvidenceTeacher(0.0)
    elsewhere = evidence_world(plan(ORDER))  # type: ignore[arg-type]
    trace = await rollout(CHAIN, toolset, elsewhere, teacher.policy, teacher.tools, Limits(), 0)
    assert trace.stop is Stop.POLICY_ERROR
    assert "no result that the annotations could go on from" in trace.detail
    with pytest.raises(ModelError, match="no tool for 'director'"):
        EvidencePolicy().open(CHAIN, (), 0)


async def test_a_task_without_annotations_is_refused() -> None:
    bare = Task(id="bare", question="Who?", answers=("Ann",))
    with pytest.raises(UnplannableError, match="task bare: no triples and no decomposition"):
        await EvidenceTeacher().prepare(bare, 0)


def test_it_is_a_teacher() -> None:
    teacher: Teacher = EvidenceTeacher()
    assert teacher.name == teacher.policy.name == "evidence"
    assert not teacher.prompts


@pytest.mark.parametrize(
    ("name", "share", "most_open"),
    [("2wikimultihopqa_train.jsonl.gz", 0.98, 0.0), ("musique_train.jsonl.gz", 0.95, 0.45)],
)
async def test_real_questions(shared_data: Path, name: str, share: float, most_open: float) -> None:
    tasks = list(read_tasks(shared_data / name))
    reasons: Counter[str] = Counter()
    kinds: Counter[bool] = Counter()
    relations = set()
    for task in tasks:
        made = plan(task)
        if not isinstance(made, Plan):
            reasons["unplannable"] += 1
            continue
        kinds.update(lookup.relation.open for lookup in made.lookups)
        relations |= {lookup.relation.name for lookup in made.lookups}
        trace = await trace_of(task, 5, detours=0.1)
        reasons.update({finding.reason.value for finding in audit(trace, task, evidence_world(made))} or {"kept"})
    assert reasons["kept"] >= share * len(tasks), reasons
    assert kinds[True] <= most_open * kinds.total(), kinds
    assert len(relations) <= 80  # tools repeat: there is nowhere near one per question
