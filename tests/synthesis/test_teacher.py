"""Synthesis by agents: the lab's scripted model plays them all."""

import asyncio

import pytest

from understudy.agents.autoagent import AutoAgent
from understudy.agents.factdrafter import FactDrafter
from understudy.agents.toolactor import ToolActor
from understudy.agents.toolmaker import ToolMaker
from understudy.lab.mistakes import Mistakes
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.synthesis.pipeline import SynthesisSettings, synthesise
from understudy.synthesis.store import RunFolder
from understudy.synthesis.teacher import AgentTeacher
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox

NUMBER = 60


@pytest.fixture(scope="module")
def tasks():
    return make_tasks(Universe(0), NUMBER, 0)


def run(path, tasks, mistakes=None, facts=True):
    model = ScriptedModel(0, mistakes)
    drafter = FactDrafter(model) if facts else None
    tools = Toolbox(SimulatedTools(ToolActor(model)))
    teacher = AgentTeacher(ToolMaker(model), drafter, AutoAgent(model), tools)
    with RunFolder(path) as folder:
        folder.start({}, resume=False)
        return asyncio.run(synthesise(tasks, teacher, folder, SynthesisSettings())), folder


def test_a_teacher_without_mistakes_passes_the_audit(tasks, tmp_path):
    summary, folder = run(tmp_path, tasks)
    assert summary.kept == NUMBER
    traces = list(folder.traces())
    assert {"toolmaker", "factdrafter", "toolactor", "autoagent"} == set(traces[0].provenance.prompts)
    assert (folder.oracles.share.n, folder.oracles.share.value) == (NUMBER, 0)
    worlds = folder.load().worlds
    lookups = sum(observation.source == "simulated" for trace in traces for observation in trace.observations)
    assert sum(len(world.memo) for world in worlds.values()) == lookups


@pytest.mark.parametrize(
    ("mistake", "reasons"),
    [
        ("wrong_answer", {"wrong_answer"}),
        ("misspelt", {"ungrounded_argument"}),
        ("malformed", {"grammar"}),
        ("premature", {"wrong_answer", "ungrounded_answer"}),
    ],
)
def test_mistakes_are_rejected_for_what_they_are(tasks, tmp_path, mistake, reasons):
    summary, _ = run(tmp_path, tasks, Mistakes(**{mistake: 0.3}))
    assert 0 < summary.rejected < NUMBER
    assert reasons <= set(summary.reasons)


def test_without_a_drafter_worlds_have_no_facts(tasks, tmp_path):
    _, folder = run(tmp_path, tasks[:5], facts=False)
    assert all(world.facts == () and world.facts_from == "none" for world in folder.load().worlds.values())
