"""Reading the files of a run folder in an order that no run can change, with one record in memory at a time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from understudy.jsonl import read_jsonl
from understudy.synthesis.audit import Finding
from understudy.task import Task
from understudy.trace import Trace
from understudy.world import World


@dataclass(frozen=True, slots=True)
class Ended:
    """A task with its outcome: its records in the list of tasks, in the outcome file ``name``, and among the worlds."""

    task_record: dict[str, Any]
    name: str
    record: dict[str, Any]
    world_record: dict[str, Any] | None

    @property
    def task(self) -> Task:
        """The task."""
        return Task(**self.task_record)

    @property
    def question(self) -> Task:
        """The task without its evidence, which is most of it."""
        return Task(**self.task_record | {"evidence": {}})

    @property
    def trace(self) -> Trace | None:
        """Its trace, kept or rejected; None if none was made."""
        content = self.record if "steps" in self.record else self.record.get("trace")
        return Trace(**content) if content else None

    @property
    def world(self) -> World:
        """Its world; a task without a trace has none of its own, and gets an empty one."""
        return World.from_record(self.world_record) if self.world_record else World(self.record["task_id"])


def rejection(task_id: str, findings: Sequence[Finding], trace: dict[str, Any] | None) -> dict[str, Any]:
    """A line of ``REJECTED``."""
    return {
        "task_id": task_id,
        "reasons": list(dict.fromkeys(finding.reason.value for finding in findings)),
        "details": [f"{finding.reason}: {finding.detail}" for finding in findings],
        "trace": trace,
    }


def sorted_records(path: Path, key: str = "task_id") -> Iterator[dict[str, Any]]:
    """Records of a JSONL file sorted by ``key``, equal ones in file order; none if the file is missing.

    Raises:
        InputError: the file is damaged.
    """
    if not path.exists():
        return
    ids = [record[key] for record in read_jsonl(path)]
    with path.open("rb") as file:
        starts = []
        for line in iter(file.readline, b""):
            if line.strip():
                starts.append(file.tell() - len(line))
        for _, start in sorted(zip(ids, starts, strict=False)):  # a torn last line has no id
            file.seek(start)
            yield orjson.loads(file.readline())


def joined(folder: Path, keys: Mapping[str, str]) -> Iterator[dict[str, dict[str, Any]]]:
    """The records of each task together, tasks sorted by id.

    Args:
        folder: where the files are.
        keys: file → the key of its records under which the task's id is.

    Yields:
        File → record, for the files that have one. Where a file has several lines of a task, as after a kill, the last
        counts.

    Raises:
        InputError: a file is damaged.
    """

    def named(name: str, key: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for record in sorted_records(folder / name, key):
            yield record[key], name, record

    merged = heapq.merge(*(named(name, key) for name, key in keys.items()), key=lambda entry: entry[0])
    for _, entries in groupby(merged, key=lambda entry: entry[0]):
        yield {name: record for _, name, record in entries}
