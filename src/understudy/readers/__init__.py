"""Question sets in their official layouts, read into tasks: one reader for synthesis and evaluation.

Layouts: ``2wikimultihopqa``, ``hotpotqa``, ``musique``, ``bamboogle``, ``flashrag``, ``sample`` (one schema for all
four), ``task`` (``tasks.jsonl`` of a run) and ``plain`` (question and answer). ``jsonl`` and ``csv`` are plain
questions in that container, whatever the file is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from understudy.contract import first_problem
from understudy.errors import InputError
from understudy.hashes import HashMap, hash64
from understudy.readers.bamboogle import BAMBOOGLE
from understudy.readers.flashrag import FLASHRAG
from understudy.readers.hotpotqa import HOTPOTQA
from understudy.readers.hub import PREFIX, read_hub_rows
from understudy.readers.layout import Layout, made_id
from understudy.readers.musique import MUSIQUE
from understudy.readers.plain import PLAIN, TASK
from understudy.readers.rows import Container, Row, read_rows
from understudy.readers.sample import SAMPLE
from understudy.readers.wiki2 import WIKI2
from understudy.scoring import Rule
from understudy.task import Task

# The order matters: a record has the first layout that it matches, so the more particular stand first.
LAYOUTS = {layout.name: layout for layout in (TASK, WIKI2, HOTPOTQA, MUSIQUE, BAMBOOGLE, FLASHRAG, SAMPLE, PLAIN)}
"""Every layout by name."""


FORMATS = ("auto", *LAYOUTS, *Container)
"""What ``format`` may be."""
_SPLITS = {"train": "train", "dev": "dev", "validation": "dev", "test": "test"}


def read_tasks(
    questions: Path | str, format: str = "auto", limit: int | None = None, revision: str = ""
) -> Iterator[Task]:
    """Read a question file, or a data set of the Hugging Face Hub.

    Args:
        questions: JSON Lines, a JSON array or CSV, each may be gzip; or ``hf:NAME[:CONFIG][@SPLIT]``, where NAME may
            also be a local folder that the ``datasets`` library loads.
        format: one of ``FORMATS``; ``auto`` recognises the layout by the first record.
        limit: at most this many tasks; None for all.
        revision: branch, tag or commit of a data set of the Hub; empty for the newest.

    Returns:
        The tasks in file order, one at a time. Ids are made from question and answers where the file has none; split
        and source are taken from the file's name (``hotpotqa/dev.jsonl``) where its records don't say.

    Raises:
        InputError: the format is unknown or not recognised, a record is bad (``path:line: what``), or an id is used
            twice. Raised when iteration gets there.
        MissingExtraError: it is a data set of the Hub, and ``datasets`` is not installed.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}; formats: {', '.join(FORMATS)}")
    return islice(_tasks(str(questions), format, revision), limit)


def _tasks(name: str, format: str, revision: str) -> Iterator[Task]:
    container = Container(format) if format in set(Container) else None
    layout = PLAIN if container else LAYOUTS.get(format)
    rows = read_hub_rows(name, revision) if name.startswith(PREFIX) else read_rows(Path(name), container)
    source, split = _named(name, {rule.value: rule.value for rule in Rule}), _named(name, _SPLITS)
    known = HashMap()
    for number, row in enumerate(rows, 1):
        layout = layout or _recognised(row)
        task = _task(layout, row)
        if task is None:
            continue
        identifier = task.id or made_id(task)
        if (earlier := known.setdefault(hash64(identifier), number)) != number:
            if task.id:
                raise InputError(f"{row.place}: id {task.id!r} is used before, by record {earlier}; make ids unique")
            identifier = f"{identifier}-{number}"  # the same row again: left to the search for duplicates
        yield task.model_copy(update={"id": identifier, "source": task.source or source, "split": task.split or split})
    if layout is None:
        raise InputError(f"{name}: no records")


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


def _named(name: str, known: dict[str, str]) -> str:
    """What the file's name says, or else its folder's, of the names that are known; empty when neither says any."""
    for part in reversed(Path(name).parts[-2:]):
        for word, meaning in known.items():
            if word in part.lower():
                return meaning
    return ""


__all__ = ["FORMATS", "LAYOUTS", "Layout", "read_tasks"]
