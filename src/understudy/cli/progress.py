"""What long work shows: a live line on a terminal, plain lines otherwise. Stage, step, figures, time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from understudy.training.progress import OnProgress
    from understudy.training.progress import Progress as Training

PLAIN_EVERY = 5.0
"""Seconds before a stage's first plain line, and between two of them at least."""

PLAIN_SHARE = 0.05
"""Between two plain lines lies at least this share of the time so far, so that the log of a day stays readable."""


def duration(seconds: float) -> str:
    """Seconds as people read them: ``8 s``, ``2 min 05 s``, ``1 h 12 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Stage:
    """One stage in progress. Call it with the number of steps done and the figures to show.

    Args:
        name: what is done.
        total: steps; None while nobody knows.
        show: called after every change.
    """

    def __init__(self, name: str, total: int | None, show: Callable[[Stage], None]) -> None:
        self.name, self.total, self.done = name, total, 0
        self._show = show
        self.figures: dict[str, float] = {}
        self._first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int | None = None, **figures: float) -> None:
        """``done`` steps are done; figures that are not given stay as they were."""
        self.done, self.total = done, self.total if total is None else total
        self.figures |= figures
        if self._first is None:  # a resumed stage begins in the middle, and getting there is no measure of its speed
            self._first = done, time.monotonic()
        self._show(self)

    @property
    def steps(self) -> str:
        """``3/10``, or ``3`` of an unknown number; empty before the first step."""
        if not self.done:
            return ""
        return f"{self.done}" if self.total is None else f"{self.done}/{self.total}"

    @property
    def shown(self) -> str:
        """The figures as text."""
        return "  ".join(f"{key} {_number(value)}" for key, value in self.figures.items())

    @property
    def left(self) -> str:
        """The time left as text; empty where nothing is known or left."""
        if self._first is None or self.total is None or not self._first[0] < self.done < self.total:
            return ""
        each = (time.monotonic() - self._first[1]) / (self.done - self._first[0])
        return f"{duration(each * (self.total - self.done))} left"


def shown(stage: Stage, **keys: str) -> OnProgress:
    """What shows training in a stage: name of a figure → the metric behind it."""

    def show(at: Training) -> None:
        stage(at.step, at.total, **{name: at.values[key] for name, key in keys.items() if key in at.values})

    return show


class Reporter:
    """Shows stages one after the other, on standard error."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Stage]:
        """Show a stage while the block runs; how it ended and how long it took stays."""
        started = time.monotonic()
        with self._live(name, total) if self.console.is_terminal else self._plain() as show:
            stage = Stage(name, total, show)
            yield stage
        took = f"done in {duration(time.monotonic() - started)}"
        self._line(stage, stage.steps, stage.shown, took)

    def say(self, line: str) -> None:
        """Print one line."""
        self.console.print(line, markup=False, soft_wrap=True)

    @contextmanager
    def _live(self, name: str, total: int | None) -> Iterator[Callable[[Stage], None]]:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn())
        shown = TextColumn("{task.fields[shown]}", markup=False)
        with Progress(
            *columns, TimeElapsedColumn(), shown, console=self.console, transient=True, refresh_per_second=4
        ) as bar:
            task = bar.add_task(name, total=total, shown="")

            def show(stage: Stage) -> None:
                text = "  ".join(filter(None, (stage.shown, stage.left)))
                bar.update(task, completed=stage.done, total=stage.total, shown=text)

            yield show

    @contextmanager
    def _plain(self) -> Iterator[Callable[[Stage], None]]:
        started = last = time.monotonic()

        def show(stage: Stage) -> None:
            nonlocal last
            now = time.monotonic()
            if stage.done != stage.total and now - last >= max(PLAIN_EVERY, PLAIN_SHARE * (now - started)):
                last = now
                self._line(stage, stage.steps, stage.shown, stage.left)

        yield show

    def _line(self, stage: Stage, *parts: str) -> None:
        self.say(f"{stage.name}: {'  '.join(filter(None, parts))}")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3g}"
