"""Every reason, each triggered by a trace made by hand, and by nothing else."""

import asyncio

import pytest
from hypothesis import given

from handmade import BORN, DIRECTOR, TASK, TOOLSET, contract, failed, trace
from strategies import traces
from understudy.grammar import fault
from understudy.readers import read_tasks
from understudy.rollout import Limits, rollout
from understudy.synthesis.audit import AuditSettings, Reason, audit
from understudy.task import Fact, Task
from understudy.teachers.evidence import EvidenceTeacher
from understudy.trace import Fault, Source, Status, Stop
from understudy.world import World

WORLD = World(TASK.id, [Fact(subject="Night Tide", relation="director", object="Curtis Harrington")])
MALFORMED = fault(Fault.NO_ACTION, "neither a call nor an answer", "hm")
REFUSED = failed(("get_director", {"movie": "Night Tide"}, None), Status.INVALID_CALL)
UNKNOWN = failed(("get_mother", {"person": "Night Tide"}, None), Status.INVALID_CALL)
MISS = failed(("get_director", {"film": "Tide"}, None), Status.TOOL_ERROR)
BROKEN = failed(BORN, Status.SIMULATOR_FAILURE)
ORACLE = ("get_born", {"film": "Night Tide"}, {"date": "6 March 1926"})
LEAKING = contract("get_year").model_copy(update={"description": "The year, such as 1926."})
ODD = (*BORN[:2], {"born": "6 March 1926"})


def reasons(made, task=TASK, **settings):
    return {finding.reason for finding in audit(made, task, WORLD, AuditSettings(**settings))}


def test_a_good_trace_passes():
    assert audit(trace(DIRECTOR, BORN), TASK, WORLD) == []


@pytest.mark.parametrize(
    ("reason", "made"),
    [
        ("grammar", trace(MALFORMED, DIRECTOR, BORN)),
        ("unfinished", trace(DIRECTOR, BORN, answer=None, stop=Stop.TIMEOUT)),
        ("invalid_call", trace(DIRECTOR, BORN, REFUSED)),
        ("invalid_call", trace(DIRECTOR, BORN, UNKNOWN)),
        ("invalid_result", trace(DIRECTOR, ODD)),
        ("invalid_result", trace(DIRECTOR, BORN, toolset=TOOLSET[1:])),
        ("contradiction", trace(DIRECTOR, BORN, thought="The director of Night Tide is Orson Welles.")),
        ("ungrounded_argument", trace(BORN)),
        ("ungrounded_answer", trace(DIRECTOR)),
        ("repeated_call", trace(DIRECTOR, DIRECTOR, BORN)),
        ("wrong_answer", trace(DIRECTOR, BORN, answer="Curtis Harrington")),
        ("leak", trace(DIRECTOR, BORN, toolset=(*TOOLSET, LEAKING))),
        ("one_call", trace(ORACLE, toolset=(contract("get_born", "film"),))),
        ("over_long", trace("x" * 40_000, DIRECTOR, BORN)),
    ],
)
def test_each_reason_alone(reason, made):
    assert reasons(made) == {reason}
    assert reasons(made, ignore=[reason]) == set()


def test_one_call_counts_for_unknown_hops_if_they_are_assumed_to_be_several():
    made, unknown = trace(ORACLE, toolset=(contract("get_born", "film"),)), TASK.model_copy(update={"hops": None})
    assert reasons(made, unknown) == set()
    assert reasons(made, unknown, assumed_hops=2) == {"one_call"}
    assert reasons(made, TASK.model_copy(update={"hops": 1}), assumed_hops=2) == set()


def test_a_simulator_failure_is_named_beside_what_follows_from_it():
    made = trace(DIRECTOR, BROKEN, answer=None, stop=Stop.SIMULATOR_FAILURE)
    assert reasons(made) == {"simulator_failure", "unfinished"}


def test_a_tool_that_denies_the_world_is_a_contradiction():
    wrong = ("get_director", {"film": "Night Tide"}, {"director": "Orson Welles"})
    assert "contradiction" in reasons(trace(wrong, answer="Orson Welles"))


def test_all_reasons_are_reported_in_their_order():
    made = trace(MALFORMED, BORN, BORN, UNKNOWN, answer="Rome", toolset=(*TOOLSET, LEAKING))
    found = [finding.reason for finding in audit(made, TASK, WORLD)]
    assert found == sorted(found, key=list(Reason).index)
    assert set(found) == {
        "grammar",
        "invalid_call",
        "ungrounded_argument",
        "ungrounded_answer",
        "repeated_call",
        "wrong_answer",
        "leak",
    }


@pytest.mark.parametrize("error", [REFUSED, UNKNOWN, MISS])
def test_a_trace_that_recovers_is_kept_within_its_share(error):
    made = trace(error, DIRECTOR, BORN)
    assert reasons(made) == set()
    assert "recovered" in reasons(made, share_recovered=0)
    assert "recovered" not in reasons(trace(DIRECTOR, BORN), share_recovered=0)


def test_the_share_of_recovered_traces_is_drawn_by_task():
    made, tasks = trace(REFUSED, DIRECTOR, BORN), [TASK.model_copy(update={"id": str(n)}) for n in range(1000)]
    kept = [task.id for task in tasks if not reasons(made, task, share_recovered=0.3)]
    assert 250 < len(kept) < 350
    fewer = [task.id for task in tasks if not reasons(made, task, share_recovered=0.2)]
    assert set(fewer) < set(kept)


@given(traces())
def test_the_audit_is_total_and_pure(made):
    task = Task(id="t", question="Who?", answers=("x",), hops=2)
    assert audit(made, task, WORLD) == audit(made, task, WORLD)


@pytest.fixture(scope="module")
def real(shared_data):
    """Traces of 60 real questions by the evidence teacher, with their tasks and worlds."""
    tasks = [
        task
        for name in ("2wikimultihopqa_train.jsonl.gz", "musique_train.jsonl.gz")
        for task in read_tasks(shared_data / name, limit=30)
    ]

    async def roll():
        teacher, made = EvidenceTeacher(detours=0), []
        for task in tasks:
            toolset, world = await teacher.prepare(task, 0)
            trace = await rollout(task, toolset, world, teacher.policy, teacher.tools, Limits(), 0)
            made.append((trace, task, world))
        return made

    return asyncio.run(roll())


def changed(made, place, call=None, content=None):
    """The trace with another argument value in the first call of a step, or other content of its first result."""
    step = made.steps[place]
    turn, seen = step.turn, step.observations
    if call:
        first = turn.calls[0]
        first = first.model_copy(update={"arguments": dict.fromkeys(first.arguments, call)})
        turn = turn.model_copy(update={"calls": (first, *turn.calls[1:])})
    if content:
        seen = (seen[0].model_copy(update={"content": content}), *seen[1:])
    steps = list(made.steps)
    steps[place] = step.model_copy(update={"turn": turn, "observations": seen})
    return made.model_copy(update={"steps": tuple(steps)})


def test_real_traces_pass_and_none_passes_with_an_invention_in_it(real):
    passed = [(made, task, world) for made, task, world in real if not audit(made, task, world)]
    assert len(passed) >= 0.95 * len(real)
    for made, task, world in passed:
        bare = made.model_copy(update={"steps": made.steps[-1:]})
        assert audit(bare, task, world)
        for place in range(len(made.steps) - 1):
            assert audit(changed(made, place, call="Zyzzyva Quux"), task, world)
            if made.steps[place].observations[0].source is Source.SIMULATED:
                content = made.steps[place].observations[0].content
                key = list(content)[-1]
                assert audit(changed(made, place, content=content | {key: "Zyzzyva Quux"}), task, world)
