"""What the page says follows from the numbers, also when they are bad news."""

import pytest

from understudy.metric import Metric, proportion
from understudy.report import figures, story
from understudy.report.model import Stage


def changed(report, field, **metrics):
    return report.model_copy(update={field: getattr(report, field).model_copy(update=metrics)})


def test_good_news(report):
    assert "answers 80.3" in story.headline(report)
    assert "GRPO is 15.0 points above SFT" in story.gain(report)
    assert "can't be told apart" in story.gap(report)
    assert story.alarm(report) == ""


def test_the_time_is_that_of_one_seed_where_there_are_more(report, full):
    assert "The whole run took" in story.lede(report)
    assert "This seed took" in story.lede(full)


def test_bad_news(report):
    worse = changed(report, "em_live", grpo=report.em_live.base)
    assert story.headline(worse).startswith("Training did not help")
    lost = report.model_copy(update={"gain": Metric(value=-0.2, n=300, ci95=(-0.25, -0.15))})
    assert "GRPO is 20.0 points below SFT" in story.gain(lost)
    unclear = report.model_copy(update={"gain": Metric(value=0.02, n=300, ci95=(-0.01, 0.05))})
    assert "GRPO and SFT can't be told apart" in story.gain(unclear)
    apart = report.model_copy(update={"gap": Metric(value=-0.1, n=300, ci95=(-0.15, -0.05))})
    assert "Live tools score 10.0 points below simulated ones" in story.gap(apart)
    leaking = changed(report, "em", no_tools=proportion(120, 320))
    assert "above chance" in story.blind(leaking)
    assert "above chance" not in story.blind(report)


def test_grpo_is_told_with_the_turns_that_it_saved(report):
    before, after = (report.behaviour[stage].turns for stage in (Stage.SFT, Stage.GRPO))
    said = story.learned(report, Stage.GRPO)
    assert said.startswith(f"{report.gained} questions turned right, {report.lost} turned wrong; ")
    assert said.endswith(f"{after.value:.2f} turns a question, {before.value:.2f} before")
    assert "turns" not in story.learned(report.model_copy(update={"behaviour": {}}), Stage.GRPO)


def test_a_no_op_that_scores_raises_an_alarm(report):
    alarming = changed(report, "em", noop=proportion(1, 320))
    assert "must score 0" in story.alarm(alarming)


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (figures.percent, 0.8104, "81.0\u202f%"),
        (figures.percent, 0.0, "0.0\u202f%"),
        (figures.points, 0.152, "+15.2"),
        (figures.points, -0.007, "\u22120.7"),
        (figures.points, 0.0001, "0.0"),
        (figures.points, -0.0001, "0.0"),
        (figures.decimal, -0.5, "\u22120.50"),
        (figures.integer, 12345, "12,345"),
        (figures.duration, 9.14, "9.1\u202fs"),
        (figures.duration, 59.97, "60.0\u202fs"),
        (figures.duration, 288.4, "4\u202fmin 48\u202fs"),
        (figures.duration, 7260.0, "2\u202fh 1\u202fmin"),
    ],
)
def test_figures(function, value, text):
    assert function(value) == text


def test_tellings_are_named_where_there_are_several(report):
    once = changed(report, "simulation", tellings=1)
    assert "each told 6 times, with other names" in story.simulated(report)
    assert "told" not in story.simulated(once)
