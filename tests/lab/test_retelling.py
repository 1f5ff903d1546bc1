"""A retold trace is the same trace about somebody else."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from understudy.cli.demo import DemoConfig
from understudy.cli.progress import Reporter
from understudy.cli.stages import SYNTH, synthesise, told_traces
from understudy.lab.lexicon import relation_named
from understudy.lab.mistakes import Mistakes
from understudy.lab.names import inventory_words
from understudy.lab.parsing import parse
from understudy.lab.retelling import retell, tellings
from understudy.lab.universe import Universe
from understudy.schema import dumps
from understudy.trace import Status, Trace
from understudy.training.sft import SftConfig, read_traces

NAME = re.compile(r"\b[A-Z][a-z]{5}\b")
MISTAKES = Mistakes(wrong_tool=0.05, malformed=0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("retelling")
    config = DemoConfig(seed=5, entities=600, trace_questions=250, mistakes=MISTAKES, parallel=0.3)
    synthesise(config, out, Universe(5, "train", config.entities), Reporter())
    return out / SYNTH


@pytest.fixture(scope="module")
def traces(folder: Path) -> list[Trace]:
    return read_traces(str(folder))


@pytest.fixture(scope="module")
def retold(traces: list[Trace]) -> list[Trace]:
    return tellings(traces, 2, seed=0)[len(traces) :]


def names(text: str) -> list[str]:
    return [word for word in NAME.findall(text) if word in inventory_words("train")]


def steps(trace: Trace) -> str:
    return dumps([step.model_dump(mode="json") for step in trace.steps])


def pattern(items: list[str]) -> list[int]:
    """Each item by where it first stood: equal for lists that differ in wording alone."""
    return [items.index(item) for item in items]


def test_every_name_is_another_wherever_it_stands(traces: list[Trace], retold: list[Trace]) -> None:
    for before, after in zip(traces, retold, strict=True):
        assert not set(names(steps(before))) & set(names(steps(after))), (before, after)
        assert pattern(names(steps(before))) == pattern(names(steps(after)))
        assert set(names(after.question)) <= set(names(steps(after)))


def test_the_question_means_the_same_in_other_words(traces: list[Trace], retold: list[Trace]) -> None:
    reworded = 0
    for before, after in zip(traces, retold, strict=True):
        plans = parse(before.question), parse(after.question)
        assert plans[0] is not None
        assert plans[1] is not None
        assert [path.relations for path in plans[0].paths] == [path.relations for path in plans[1].paths]
        assert (plans[0].op, plans[0].composed) == (plans[1].op, plans[1].composed)
        reworded += NAME.sub("", before.question) != NAME.sub("", after.question)
    assert reworded > len(traces) / 2


def test_it_keeps_its_contracts_and_its_statuses(traces: list[Trace], retold: list[Trace]) -> None:
    kept = refused = 0
    for before, after in zip(traces, retold, strict=True):
        assert [tool.description for tool in before.toolset] == [tool.description for tool in after.toolset]
        contracts = {tool.name: tool for tool in after.toolset}
        for step in after.steps:
            for call, seen in zip(getattr(step.turn, "calls", ()), step.observations, strict=False):
                if seen.status is Status.OK:
                    assert not contracts[call.name].argument_violations(call.arguments)
                    assert not contracts[call.name].result_violations(seen.content)
                    kept += 1
                elif seen.status is Status.INVALID_CALL and call.name in contracts:
                    assert contracts[call.name].argument_violations(call.arguments)
                    refused += 1
    assert kept > 2 * len(traces)
    assert refused > 3


def test_an_api_has_another_name_and_other_keys(traces: list[Trace], retold: list[Trace]) -> None:
    other_keys = 0
    for before, after in zip(traces, retold, strict=True):
        for tool, told in zip(before.toolset, after.toolset, strict=True):
            if relation_named(tool.name):
                assert tool.name.split("_", 1)[1] == told.name.split("_", 1)[1]
                assert tool.name != told.name
                other_keys += tool.returns != told.returns
                assert not re.search(rf"(?<!\w){tool.name}_?(?!\w)", steps(after))  # nor in what a wrong call is told
            else:
                assert tool == told
    assert other_keys > len(traces)
    assert any("unknown tool" in steps(trace) for trace in retold)


def test_sums_are_right_and_years_move_together(traces: list[Trace], retold: list[Trace]) -> None:
    moved = counted = 0
    for before, after in zip(traces, retold, strict=True):
        for step in after.steps:
            for seen in step.observations:
                if seen.name == "calculator" and seen.status is Status.OK:
                    expression = step.turn.calls[0].arguments["expression"]  # type: ignore[union-attr]
                    assert re.fullmatch(r"[\d +,()-]*(?:(abs|min|max)\([\d ,+-]+\))?", expression)
                    value = {"abs": lambda a, b: a - b if a > b else b - a, "min": min, "max": max}.get(
                        expression[:3], lambda a, b: a + b
                    )(*map(int, re.findall(r"\d+", expression)))
                    assert value == seen.content["value"]
                    counted += 1
        years = [[int(year) for year in re.findall(r"\b1[89]\d\d\b", steps(trace))] for trace in (before, after)]
        if parse(before.question).op.value == "difference" and years[0]:  # type: ignore[union-attr]
            moved += years[0] != years[1]
    assert counted > 20
    assert moved > 5


def test_it_is_told_otherwise_every_time_and_the_same_from_one_seed(traces: list[Trace]) -> None:
    assert tellings(traces[:9], 3, seed=1) == tellings(traces[:9], 3, seed=1)
    told = tellings(traces[:9], 3, seed=1)
    assert told[:9] == traces[:9]
    assert len({trace.question for trace in told}) == 27
    assert tellings(traces[:9], 2, seed=2)[9:] != told[9:18]
    assert {trace.task_id for trace in told} == {trace.task_id for trace in traces[:9]}
    assert retell(traces[0], random.Random(0)).answer != traces[0].answer or traces[0].answer in ("yes", "no")


def test_traces_that_are_held_out_are_not_retold_and_not_trained_on(folder: Path, traces: list[Trace]) -> None:
    settings = SftConfig(model="lab", traces=str(folder), held_out=0.2)
    told, held_out = told_traces(settings, 3, "sft")
    assert held_out == [trace for trace in traces if settings.holds_out(trace.task_id)]
    assert len(held_out) > 10
    assert not {trace.task_id for trace in told} & {trace.task_id for trace in held_out}
    assert len(told) == 3 * (len(traces) - len(held_out))
