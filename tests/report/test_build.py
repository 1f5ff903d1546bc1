"""From results to a report: what is compared, which examples are shown, what training's metrics become."""

import pytest

import films
from understudy.errors import InputError
from understudy.evaluation.controls import NoOp, NoTools, without_tools
from understudy.evaluation.mistakes import Mistake
from understudy.report.build import build_report
from understudy.report.curves import read_curve
from understudy.report.model import MAX_EXAMPLES, Stage, TraceCounts
from understudy.report.page import render
from understudy.reward.composite import score


def script(right):
    def turns(task):
        number = int(task.id[1:])
        return films.solve(task) if right(number) else [films.solve(task)[0], f"<answer>{number}</answer>"]

    return films.Scripted(turns)


async def results():
    policies = {
        "base": films.Scripted(lambda task: ["", "", ""]),
        "sft": script(lambda number: number % 3 == 0),
        "grpo": script(lambda number: number % 4 != 0),
    }
    simulated = {name: await films.run(films.tasks, policy) for name, policy in policies.items()}
    simulated["noop"] = await films.run(films.tasks, NoOp())
    simulated["no_tools"] = await films.run(
        films.tasks, policies["grpo"], toolsets=without_tools(films.tasks), tools=NoTools()
    )
    live = {name: await films.run(films.tasks, policy) for name, policy in policies.items()}
    return simulated, live


def built(simulated, live, **options):
    return build_report(
        seed=7,
        seconds={"total": 12.5, "sft": 3.0},
        tasks=films.tasks,
        traces=TraceCounts(synthesised=10, kept=8, rejected={"leak": 2}),
        simulated=simulated,
        live=live,
        reward=lambda trace, task: score(trace, task, films.world(task)),
        **options,
    )


async def test_a_report_is_computed_from_results():
    simulated, live = await results()
    report = built(simulated, live)
    assert (report.em.base.value, report.em.sft.value, report.em.grpo.value) == (0, 8 / 24, 18 / 24)
    assert (report.em.noop.value, report.gap.value) == (0, 0)
    assert report.gain.value == pytest.approx(10 / 24)
    assert (report.gained, report.lost) == (12, 2)
    assert report.mistakes[Stage.BASE] == {Mistake.MALFORMED: 24}
    assert report.behaviour[Stage.BASE].answered.value == 0
    assert report.behaviour[Stage.GRPO].calls.value == pytest.approx((18 * 2 + 6) / 24)
    assert set(report.by_hops[Stage.GRPO]) == {2, 3, 4}
    assert report.controls is None
    assert report.versions["understudy"]
    assert built(simulated, live) == report
    assert "Red Harbour" in render(report)


async def test_examples_show_victories_and_defeats():
    report = built(*await results())
    shown = [example.shows.partition(":")[0] for example in report.examples]
    assert shown == [*["GRPO turned it right"] * 2, "right since SFT", "GRPO turned it wrong", "still wrong"]
    assert len(report.examples) <= MAX_EXAMPLES
    assert len({example.kind for example in report.examples[:2]}) == 2
    for example in report.examples:
        assert [attempt.stage for attempt in example.attempts] == list(Stage)
    lost = report.examples[3]
    assert [attempt.right for attempt in lost.attempts] == [False, True, False]
    assert [attempt.reward.total >= 1 for attempt in lost.attempts] == [False, True, False]


async def test_controls_of_a_full_run():
    simulated, live = await results()
    more = {"further_sft": simulated["sft"], "corrupted": simulated["base"]}
    controls = built(simulated | more, live).controls
    assert controls.over_further_sft.value == pytest.approx(10 / 24)
    assert controls.gap_corrupted.value == pytest.approx(18 / 24)
    assert controls.shuffled_rewards is None


async def test_results_on_other_questions_are_refused():
    simulated, live = await results()
    with pytest.raises(InputError, match="same questions"):
        built(simulated, live | {"grpo": await films.run(films.tasks[:5], films.Scripted(films.solve))})


def test_curves_come_from_the_metrics_file(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 1, "loss": 2.5}\n{"step": 2, "loss": null, "held": 1}\n{"loss": 9}\n{"step": 3, "loss": "x"}\n{"st'
    )
    curve = read_curve(path, Stage.SFT, "loss", {"training": "loss", "held out": "held"})
    assert curve.series == {"training": ((1, 2.5),), "held out": ((2, 1.0),)}
    with pytest.raises(InputError, match="no such file"):
        read_curve(tmp_path / "none.jsonl", Stage.SFT, "loss", {"training": "loss"})
