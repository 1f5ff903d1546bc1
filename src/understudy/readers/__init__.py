"""Question sets in their official layouts, read into tasks: one reader for synthesis and evaluation.

Layouts: ``2wikimultihopqa``, ``hotpotqa``, ``musique``, ``bamboogle``, ``flashrag``, ``sample`` (one schema for all
four), ``task`` (``tasks.jsonl`` of a run) and ``plain`` (question and answer, JSON or CSV).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from understudy.contract import first_problem
from understudy.errors import InputError
from understudy.readers.bamboogle import BAMBOOGLE
from understudy.readers.flashrag import FLASHRAG
from understudy.readers.hotpotqa import HOTPOTQA
from understudy.readers.layout import Layout, made_id
from understudy.readers.musique import MUSIQUE
from understudy.readers.plain import PLAIN, TASK
from understudy.readers.rows import Row, read_rows
from understudy.readers.sample import SAMPLE
from understudy.readers.wiki2 import WIKI2
from understudy.scoring import Rule
from understudy.task import Task

# The order matters: a record has the first layout that it matches, so the more particular stand first.
LAYOUTS = {layout.name: layout for layout in (TASK, WIKI2, HOTPOTQA, MUSIQUE, BAMBOOGLE, FLASHRAG, SAMPLE, PLAIN)}
"""Every layout by name."""


def read_tasks(path: Path, format: str = "auto", limit: int | None = None) -> Iterator[Task]:
    """Read a question file.

    Args:
        path: JSON Lines, a JSON array or CSV; each may be gzip.
        format: a name in ``LAYOUTS``, or ``auto`` to recognise it by the first record.
        limit: at most this many tasks; None for all.

    Returns:
        The tasks in file order, one at a time. Ids are made from question and answers where the file has none; split
        and source are taken from the file's name (``hotpotqa/dev.jsonl``) where its records don't say.

    Raises:
        InputError: the format is unknown or not recognised, a record is bad (``path:line: what``), or an id is used
            twice. Raised when iteration gets there.
    """
    if format != "auto" and format not in LAYOUTS:
        raise InputError(f"unknown format {format!r}; formats: auto, {', '.join(LAYOUTS)}")
    return islice(_tasks(path, format), limit)


def _tasks(path: Path, format: str) -> Iterator[Task]:
    layout = None if format == "auto" else LAYOUTS[format]
    source, split = _named(path, [rule.value for rule in Rule]), _named(path, ["train", "dev", "test"])
    places: dict[str, str] = {}
    for row in read_rows(path):
        layout = layout or _recognised(row)
        task = _task(layout, row)
        if task is None:
            continue
        task = task.model_copy(
            update={"id": task.id or made_id(task), "source": task.source or source, "split": task.split or split}
        )
        if (earlier := places.setdefault(task.id, row.place)) is not row.place:
            raise InputError(f"{row.place}: id {task.id!r} is used before, at {earlier}; make ids unique")
        yield task
    if layout is None:
        raise InputError(f"{path}: no records")


def _task(layout: Layout, row: Row) -> Task | None:
    try:
        return layout.to_task(row.value)
    except ValueError as error:
        raise InputError(f"{row.place}: {first_problem(error)} (read as {layout.name})") from None


def _recognised(row: Row) -> Layout:
    for layout in LAYOUTS.values():
        if layout.matches(row.value):
            return layout
    keys = ", ".join(list(row.value)[:8])
    raise InputError(f"{row.place}: no known layout has the fields {keys}; use question and answer, or name the format")


def _named(path: Path, names: list[str]) -> str:
    """The one of ``names`` that the file's name, or else its folder's, has in it; empty when none is."""
    for part in (path.name, path.parent.name):
        for name in names:
            if name in part.lower():
                return name
    return ""


__all__ = ["LAYOUTS", "Layout", "read_tasks"]
