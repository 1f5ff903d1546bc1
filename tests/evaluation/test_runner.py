"""Evaluation: the same result in any order, resumable, and honest about what it counts."""

import asyncio
import time

import pytest

import films
from understudy.errors import InputError
from understudy.evaluation.controls import NoTools, without_tools
from understudy.rollout import Limits
from understudy.trace import Stop


async def test_the_result_depends_on_neither_concurrency_nor_arrival_order():
    results = [
        await films.run(tasks, films.Scripted(films.solve_some, delays), concurrency=concurrency)
        for tasks, delays, concurrency in (
            (films.tasks, 1, 1),
            (films.tasks, 2, 5),
            (films.tasks[::-1], 3, 100),
        )
    ]
    assert results[0].timeless() == results[1].timeless() == results[2].timeless()
    assert [record.task_id for record in results[2].records] == sorted(task.id for task in films.tasks)


async def test_what_is_counted():
    result = await films.run(films.tasks, films.Scripted(films.solve_some))
    assert (result.em.value, result.em.n) == (pytest.approx(2 / 3), 24)
    assert result.em.ci95[0] < 2 / 3 < result.em.ci95[1]
    assert result.f1.value > result.em.value  # the person shares a word, the number, with the city
    assert result.calls.value == 2
    assert result.invalid_calls.value == 0
    assert result.invalid_calls.n == 48
    assert sum(metric.n for metric in result.by_kind.values()) == 24
    assert set(result.by_hops) == {2, 3, 4}
    assert result.by_hops[2].value == 0  # every third question
    assert result.stops == {Stop.ANSWERED: 24}
    assert result.tokens == 24 * 3 * 10
    assert result.facts == "evidence"
    assert "records" not in result.summary()


async def test_concurrency_is_bounded_and_has_no_barrier():
    policy = films.Scripted(films.solve, delays=1)
    await films.run(films.tasks, policy, concurrency=4)
    assert policy.peak == 4

    class OneSlow(films.Scripted):
        async def pause(self, generator):
            await asyncio.sleep(0.3 if self.opened[-1] == "q001" and len(self.opened) == 1 else 0.01)

    started = time.perf_counter()
    await films.run(films.tasks, OneSlow(lambda task: ["<answer>x</answer>"]), concurrency=2)
    assert time.perf_counter() - started < 0.55  # 23 × 0.01 s beside one of 0.3 s


async def test_a_simulator_failure_counts_as_wrong_but_is_named():
    def script(task):
        return [films.call("find_director", film="Broken")] if task.id == "q005" else films.solve(task)

    result = await films.run(films.tasks, films.Scripted(script))
    assert result.simulator_failures == ("q005",)
    assert result.em.value == pytest.approx(23 / 24)
    assert result.stops == {Stop.ANSWERED: 23, Stop.SIMULATOR_FAILURE: 1}


async def test_invalid_calls_and_faults_are_counted():
    def script(task):
        return [films.call("find_nothing", film="x"), "no tags", *films.solve(task)]

    result = await films.run(films.tasks[:4], films.Scripted(script))
    assert result.em.value == 1
    assert result.invalid_calls.value == pytest.approx(1 / 3)
    assert [record.faults for record in result.records] == [1] * 4
    turns = [{term: [flaw.turn for flaw in found] for term, found in one.flaws.items()} for one in result.records]
    assert turns == [{"valid_calls": [0], "format": [1]}] * 4


async def test_a_failing_policy_is_data():
    result = await films.run(films.tasks[:3], films.Scripted(lambda task: []))
    assert result.em.value == 0
    assert result.stops == {Stop.POLICY_ERROR: 3}
    assert result.records[0].detail == "the script is over"


async def test_a_killed_run_resumes_from_its_records(tmp_path):
    whole = await films.run(films.tasks, films.Scripted(films.solve_some))
    path = tmp_path / "records.jsonl"

    class Dies(films.Scripted):
        def open(self, task, toolset, seed):
            if len(self.opened) == 10:
                raise KeyError("a bug")
            return super().open(task, toolset, seed)

    with pytest.raises(KeyError, match="a bug"):
        await films.run(films.tasks, Dies(films.solve_some, 1), records=path, concurrency=3)
    complete = path.read_bytes().count(b"\n")
    assert 0 < complete <= 10
    path.write_bytes(path.read_bytes()[:-7])  # the last record is torn, so it is owed again

    policy = films.Scripted(films.solve_some)
    resumed = await films.run(films.tasks, policy, records=path, resume=True)
    assert resumed.timeless() == whole.timeless()
    assert len(policy.opened) == 24 - (complete - 1)

    idle = films.Scripted(films.solve_some)
    assert (await films.run(films.tasks, idle, records=path, resume=True)).timeless() == whole.timeless()
    assert idle.opened == []


async def test_records_of_another_run_are_never_mixed_in(tmp_path):
    path = tmp_path / "records.jsonl"
    await films.run(films.tasks[:5], films.Scripted(films.solve), records=path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="earlier run"):
        await films.run(films.tasks[:5], films.Scripted(films.solve), records=path)
    for change in ({"seed": 4}, {"limits": Limits(max_turns=2)}, {"toolsets": without_tools(films.tasks)}):
        with pytest.raises(InputError, match="from another run"):
            await films.run(films.tasks[:5], films.Scripted(films.solve), records=path, resume=True, **change)
    with pytest.raises(InputError, match="q005"):
        await films.run(films.tasks[:4], films.Scripted(films.solve), records=path, resume=True)
    path.write_bytes(b'{"task_id": "q001"}\n')
    with pytest.raises(InputError, match="not an evaluation record"):
        await films.run(films.tasks[:5], films.Scripted(films.solve), records=path, resume=True)
    assert b"q005" in before


async def test_bad_input_is_one_line():
    policy = films.Scripted(films.solve)
    with pytest.raises(InputError, match="unique"):
        await films.run([films.tasks[0]] * 2, policy)
    with pytest.raises(InputError, match="'q001' has no toolset"):
        await films.run(films.tasks, policy, toolsets={})
    with pytest.raises(InputError, match="'q001' has no world"):
        await films.run(films.tasks, policy, worlds={})


async def test_progress_and_an_empty_set():
    seen = []
    await films.run(films.tasks[:6], films.Scripted(films.solve_some), on_progress=seen.append, concurrency=1)
    assert [progress.done for progress in seen] == [1, 2, 3, 4, 5, 6]
    assert (seen[-1].correct, seen[-1].total) == (4, 6)
    assert (await films.run([], films.Scripted(films.solve))).em.n == 0


async def test_without_worlds_every_task_has_an_empty_one():
    policy = films.Scripted(lambda task: [films.call("find_director", film="x"), "<answer>x</answer>"])
    result = await films.run(films.tasks[:2], policy, worlds=None, toolsets=without_tools(films.tasks), tools=NoTools())
    assert (result.tools, result.facts) == ("none", "none")
    assert result.invalid_calls.value == 1  # an unknown tool


async def test_traces_are_kept_on_demand():
    policy = films.Scripted(films.solve)
    assert (await films.run(films.tasks[:1], policy)).records[0].trace.answer == "Lindenfeld 1"
    assert (await films.run(films.tasks[:1], policy, keep_traces=False)).records[0].trace is None
