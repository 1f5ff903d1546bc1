"""What long work shows: short in a log, alive on a terminal."""

import io
import re

import pytest
from rich.console import Console

from understudy.cli import progress
from understudy.cli.progress import Reporter, duration


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


@pytest.fixture
def log(clock):
    """A reporter without a terminal, and the lines it wrote."""
    text = io.StringIO()
    return Reporter(Console(file=text, width=200)), lambda: text.getvalue().splitlines()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (4320, "1 h 12 min")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_a_short_stage_is_one_line(log):
    reporter, lines = log
    with reporter.stage("synthesis", 3) as stage:
        for done in (1, 2, 3):
            stage(done, kept=done - 1, rejected=1)
    assert lines() == ["synthesis: 3/3  kept 2  rejected 1  done in 0 s"]


def test_a_long_stage_says_now_and_then_how_far_it_is_and_how_long_it_takes(log, clock):
    reporter, lines = log
    with reporter.stage("sft", 100) as stage:
        for done in range(1, 101):
            clock.now += 1
            stage(done, loss=1 / done)
    assert lines()[0] == "sft: 5/100  loss 0.2  1 min 35 s left"
    assert lines()[-1] == "sft: 100/100  loss 0.01  done in 1 min 40 s"
    assert len(lines()) == 20


def test_lines_become_rarer_with_time(log, clock):
    reporter, lines = log
    with reporter.stage("synthesis", 10**6) as stage:
        for done in range(24 * 60):
            clock.now += 60
            stage(done + 1)
    assert 50 < len(lines()) < 100


def test_the_time_left_of_a_resumed_stage_is_estimated_from_what_this_process_did(log, clock):
    reporter, lines = log
    with reporter.stage("synthesis", 1000) as stage:
        clock.now += 60  # reading what is there
        for done in range(900, 904):
            stage(done)
            clock.now += 2
    assert lines()[:2] == ["synthesis: 900/1000", "synthesis: 903/1000  3 min 14 s left"]


def test_an_unknown_total_is_no_fraction_and_promises_nothing(log, clock):
    reporter, lines = log
    with reporter.stage("grpo") as stage:
        clock.now += 6
        stage(1, reward=0.5)
        clock.now += 6
        stage(2, total=4, em=0.25)  # a figure that is not given stays
        clock.now += 6
        stage(3)
    assert lines() == [
        "grpo: 1  reward 0.5",
        "grpo: 2/4  reward 0.5  em 0.25  12 s left",
        "grpo: 3/4  reward 0.5  em 0.25  6 s left",
        "grpo: 3/4  reward 0.5  em 0.25  done in 18 s",
    ]


def test_a_stage_that_fails_is_not_called_done(log):
    reporter, lines = log

    def fail():
        with reporter.stage("sft", 3) as stage:
            stage(1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert lines() == []


def test_names_are_text_and_not_markup(log):
    reporter, lines = log
    with reporter.stage("[red]x[/red]", 1) as stage:
        stage(1)
    assert lines() == ["[red]x[/red]: 1/1  done in 0 s"]


@pytest.mark.parametrize("total", [10, None])
def test_on_a_terminal_a_bar_lives_and_one_line_stays(total):
    text = io.StringIO()
    reporter = Reporter(Console(file=text, force_terminal=True, width=100))
    with reporter.stage("eval base", total) as stage:
        stage(4, em=0.5)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue())
    assert f"4/{total or '?'}" in plain
    assert "em 0.5" in plain
    assert "━" in plain
    assert plain.rstrip().splitlines()[-1].endswith(f"eval base: 4{'/10' if total else ''}  em 0.5  done in 0 s")
