"""What long work shows: a live line on a terminal, plain lines otherwise. Stage, step, figures, time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PLAIN_EVERY = 5.0  # seconds between two plain lines of one stage


def duration(seconds: float) -> str:
    """Seconds as people read them: ``8 s``, ``2 min 05 s``, ``1 h 12 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Stage:
    """One stage in progress. Call it with the number of steps done and the figures to show."""

    def __init__(self, reporter: Reporter, name: str, total: int) -> None:
        self._reporter, self.name, self.total = reporter, name, total
        self._started = time.monotonic()
        self._first: int | None = None
        self._last_line = -PLAIN_EVERY

    def __call__(self, done: int, total: int | None = None, **figures: float) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        self.total = self.total if total is None else total
        if self._first is None:
            self._first = done
        shown = "  ".join(f"{key} {_number(value)}" for key, value in figures.items())
        elapsed = time.monotonic() - self._started
        steps = done - self._first
        left = f"{duration(elapsed / steps * (self.total - done))} left" if steps and done < self.total else ""
        self._reporter.show(self, done, "  ".join(part for part in (shown, left) if part), elapsed)

    def due(self, elapsed: float, done: int) -> bool:
        """Whether a plain line is due, so that a log stays readable."""
        if done < self.total and elapsed - self._last_line < PLAIN_EVERY:
            return False
        self._last_line = elapsed
        return True


class Reporter:
    """Shows stages one after the other."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Show a stage while the block runs, and how long it took at its end."""
        stage, started = Stage(self, name, total), time.monotonic()
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[shown]}"), console=self.console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(name, total=total, shown="")
        try:
            yield stage
        finally:
            if self._bar:
                self._bar.stop()
                self._bar = None
        self.say(f"{name}: done in {duration(time.monotonic() - started)}")

    def say(self, line: str) -> None:
        """Print one line."""
        self.console.print(line, markup=False, soft_wrap=True)

    def show(self, stage: Stage, done: int, shown: str, elapsed: float) -> None:
        """Draw the state of a stage."""
        if self._bar:
            self._bar.update(self._task, completed=done, total=stage.total, shown=shown)
        elif stage.due(elapsed, done):
            self.say(f"{stage.name}: {done}/{stage.total}  {shown}".rstrip())


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3g}"
