"""What questions come with: the tools offered for each and its world, made once, kept, and taken again.

Models that make tools and facts may answer differently next time. So what was made lies in ``prepared.jsonl``, from
which a killed run goes on, and which a later run can take to meet the very same tools.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from understudy.contract import ToolContract
from understudy.errors import InputError, ModelError
from understudy.evaluation.pool import for_each
from understudy.evaluation.result import Record
from understudy.jsonl import JsonlWriter, read_jsonl, write_atomic
from understudy.synthesis.store import TRACES, RunFolder
from understudy.task import Task
from understudy.teachers.evidence import UnplannableError
from understudy.trace import Source, Status
from understudy.world import Remembered, World

PREPARED = "prepared.jsonl"
_SYNC_EVERY = 32

Make = Callable[[Task], Awaitable[tuple[tuple[ToolContract, ...], World]]]


@dataclass(slots=True)
class Offers:
    """By task id: the contracts offered, the world, and why there is neither (``unready``)."""

    toolsets: dict[str, tuple[ToolContract, ...]] = field(default_factory=dict)
    worlds: dict[str, World] = field(default_factory=dict)
    unready: dict[str, str] = field(default_factory=dict)

    def add(self, task_id: str, toolset: Sequence[ToolContract], world: World, unready: str | None = None) -> None:
        """What one task comes with."""
        self.toolsets[task_id], self.worlds[task_id] = tuple(toolset), world
        if unready is not None:
            self.unready[task_id] = unready

    def line(self, task_id: str) -> dict[str, Any]:
        """A line of ``prepared.jsonl``."""
        return {
            "task_id": task_id,
            "toolset": [contract.model_dump(mode="json") for contract in self.toolsets[task_id]],
            "world": self.worlds[task_id].to_record(),
            "unready": self.unready.get(task_id),
        }


async def prepare(
    tasks: Sequence[Task],
    make: Make,
    path: Path | None,
    concurrency: int,
    on_progress: Callable[[int], None] | None = None,
) -> Offers:
    """Make toolset and world of every task; a failure to do so is kept too, and is no error.

    Args:
        tasks: the questions.
        make: makes both for one task.
        path: ``prepared.jsonl``: what lies there is taken, what is made is added. None where making costs nothing.
        concurrency: tasks at a time.
        on_progress: called with the number of tasks that are ready.

    Raises:
        InputError: the file is damaged, or the disk refuses.
    """
    made = read_prepared(path) if path else Offers()
    writer = JsonlWriter(path, _SYNC_EVERY) if path else None

    async def make_one(task: Task) -> None:
        try:
            made.add(task.id, *await make(task))
        except (ModelError, UnplannableError) as error:  # of this question; anything else ends the run
            made.add(task.id, (), World(task.id), str(error))
        if writer:
            writer.write(made.line(task.id))
        if on_progress:
            on_progress(len(made.toolsets))

    try:
        await for_each([task for task in tasks if task.id not in made.toolsets], make_one, concurrency)
    finally:
        if writer:
            writer.close()
    return made


def take(folder: Path, tasks: Iterable[Task]) -> Offers:
    """What an earlier evaluation or a synthesis prepared for these tasks.

    Raises:
        InputError: the folder is neither, or has nothing for one of the tasks.
    """
    path = prepared_file(folder)
    if path.name == PREPARED:
        known = read_prepared(path)
    else:
        loaded = RunFolder(folder).load()
        known = Offers(loaded.toolsets, loaded.worlds)
    for task in tasks:
        if task.id not in known.toolsets:
            raise InputError(
                f"{folder}: has no tools for the question {task.id!r}; evaluate the questions it was made of"
            )
    return known


def prepared_file(folder: Path) -> Path:
    """The file of a folder that changes with what ``take`` gives.

    Raises:
        InputError: there is none.
    """
    for name in (PREPARED, TRACES):
        if (folder / name).exists():
            return folder / name
    raise InputError(f"{folder}: neither an evaluation with made tools ({PREPARED}) nor a synthesis ({TRACES})")


def read_prepared(path: Path) -> Offers:
    """Read ``prepared.jsonl``; a missing one has nothing.

    Raises:
        InputError: it is damaged.
    """
    made = Offers()
    if not path.exists():
        return made
    for number, line in enumerate(read_jsonl(path), 1):
        try:
            toolset = [ToolContract(**contract) for contract in line["toolset"]]
            made.add(line["task_id"], toolset, World.from_record(line["world"]), line["unready"])
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{path}:{number}: not a prepared question; delete the file to have it made again"
            ) from None
    return made


def keep_memories(path: Path, made: Offers, records: Iterable[Record]) -> None:
    """Write ``prepared.jsonl`` anew with what simulated tools said, so that a later run is told the same.

    Raises:
        InputError: the disk refuses.
    """
    for record in records:
        if record.trace is not None:
            memo = made.worlds[record.task_id].memo
            memo.update(_said(record.trace.calls(), {contract.name: contract for contract in record.trace.toolset}))
    lines = (orjson.dumps(made.line(task_id)) + b"\n" for task_id in sorted(made.toolsets))
    write_atomic(path, b"".join(lines))


def _said(calls: Iterable[tuple[Any, Any]], contracts: Mapping[str, ToolContract]) -> dict[str, Remembered]:
    return {
        World.memo_key(contracts[call.name], call.arguments): Remembered(content=seen.content, status=seen.status.value)
        for call, seen in calls
        if seen.source is Source.SIMULATED and seen.status in (Status.OK, Status.TOOL_ERROR)
    }
