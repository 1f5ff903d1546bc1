"""The run folder: what a synthesis run writes, how it survives a kill, and how other commands read it.

Every task ends in exactly one of ``traces.jsonl``, ``rejected.jsonl`` and ``failures.jsonl``. That line is written only
after its task, tools, toolset and world lie on the disk, so what counts as done is complete; whatever is missing after
a kill, a power cut or a full disk is owed again, and what was half done is dropped when the run is resumed. To have
failed tasks tried again, delete ``failures.jsonl`` and resume.

Tasks lie in the order of the questions, and are written when they are taken up. All other records lie in order of
arrival; ``RunFolder.records`` gives them sorted, which does not depend on it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from understudy.checks.leak import Oracles
from understudy.contract import ToolContract
from understudy.errors import InputError
from understudy.hashes import HashMap, hash64
from understudy.jsonl import JsonlWriter, read_jsonl
from understudy.synthesis.audit import Finding
from understudy.synthesis.library import contract_id
from understudy.synthesis.records import Ended, joined, rejection, sorted_records
from understudy.synthesis.resume import claim_config, lock, prune
from understudy.synthesis.staging import clear, finish
from understudy.task import Task
from understudy.trace import Trace
from understudy.world import World

CONFIG, SUMMARY, DATASET = "config.json", "summary.json", "dataset"
TASKS, TOOLS, TOOLSETS, WORLDS = "tasks.jsonl", "tools.jsonl", "toolsets.jsonl", "worlds.jsonl"
TRACES, REJECTED, FAILURES = "traces.jsonl", "rejected.jsonl", "failures.jsonl"
OUTCOMES = (TRACES, REJECTED, FAILURES)
FILES = (TASKS, TOOLS, TOOLSETS, WORLDS, *OUTCOMES)
SYNC_RECORDS = 64
SYNC_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Prepared:
    """What tasks come with, for training and evaluation: three views of the same tasks, sorted by id."""

    tasks: list[Task]
    toolsets: dict[str, tuple[ToolContract, ...]]
    worlds: dict[str, World]


class RunFolder:
    """One run's folder. Reading needs no more than this; writing goes between ``start`` and ``close``.

    Attributes:
        path: the folder.
        counts: outcomes so far by file name, those of earlier runs included.
        reasons: rejections so far by reason.
        oracles: of how many tasks so far one call gave the answer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.oracles = Oracles()
        self._listed, self._done = HashMap(), HashMap()
        self._writers: dict[str, JsonlWriter] = {}
        self._pending: list[tuple[str, dict[str, Any]]] = []
        self._synced = 0.0
        self._lock: IO[bytes] | None = None
        self._tools = HashMap()

    def start(self, config: dict[str, Any], resume: bool, free: Collection[str] = ()) -> None:
        """Open the folder for writing.

        Args:
            config: the resolved configuration, JSON values only; saved, and compared when resumed.
            resume: go on with what is there. A folder without results is started either way.
            free: dotted keys that may differ when resumed, as they don't change results.

        Raises:
            InputError: the folder holds another run's results, the configuration changed, another process is writing
                to it, or the disk refuses.
        """
        self._lock = lock(self.path)
        try:
            clear(self.path)
            results = [self.path / name for name in (*FILES, SUMMARY)]
            claim_config(self.path / CONFIG, config, resume, results, free)
            self._drop_unfinished()
            for ended in self.ended() if self._done else ():
                self._count_trace(ended.question, ended.trace)
            # Several files make one record, so the folder decides when to sync, not the writers.
            self._writers = {name: JsonlWriter(self.path / name, sync_every=sys.maxsize) for name in FILES}
        except BaseException:
            self.close()
            raise
        self._synced = time.monotonic()

    def take(self, task: Task) -> bool:
        """Note a task down, in the order of the questions, and say whether it is owed its outcome."""
        key = hash64(task.id)
        if key not in self._listed:
            self._listed[key] = 1
            self._writers[TASKS].write(task.model_dump(mode="json"))
        return key not in self._done

    def is_done(self, task_id: str) -> bool:
        """Whether the task has its outcome."""
        return hash64(task_id) in self._done

    def toolsets(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, tuple[ToolContract, ...]]]:
        """Those tasks with a trace that are wanted, each with its toolset.

        Raises:
            InputError: a file is damaged.
        """
        chosen = [record for record in self._read(TOOLSETS) if wanted(record["task_id"])]
        names = {name for record in chosen for name in record["tools"]}
        tools = {record.pop("id"): ToolContract(**record) for record in self._read(TOOLS) if record["id"] in names}
        return ((record["task_id"], tuple(tools[name] for name in record["tools"])) for record in chosen)

    def keep(self, task: Task, world: World, trace: Trace) -> None:
        """Record a trace that passed the audit, of a task that was taken."""
        self._write_prepared(world, trace)
        self._count_trace(task, trace)
        self._commit(TRACES, trace.model_dump(mode="json"))

    def reject(
        self, task: Task, findings: Sequence[Finding], world: World | None = None, trace: Trace | None = None
    ) -> None:
        """Record a trace that did not pass, or a task that was refused without making one."""
        if world and trace:
            self._write_prepared(world, trace)
            self._count_trace(task, trace)
        self._commit(REJECTED, rejection(task.id, findings, trace.model_dump(mode="json") if trace else None))

    def fail(self, task: Task, kind: str, message: str, attempts: int) -> None:
        """Record a task for which no trace could be made: the class of the error, its first line, and the attempts."""
        first = next(iter(message.splitlines()), "")[:500]
        self._commit(FAILURES, {"task_id": task.id, "class": kind, "message": first, "attempts": attempts})

    def flush(self) -> None:
        """Bring everything to the disk: first what tasks come with, then their outcomes.

        Raises:
            InputError: the disk refuses; outcomes that did not get there are owed again.
        """
        for name in (TASKS, TOOLS, TOOLSETS, WORLDS):
            self._writers[name].flush()
        pending, self._pending = self._pending, []
        for name, record in pending:
            self._writers[name].write(record)
        for name in {name for name, _ in pending}:
            self._writers[name].flush()
        self._synced = time.monotonic()

    def close(self) -> None:
        """Flush what is pending and give the folder free.

        Raises:
            InputError: the disk refuses; outcomes that did not get there are owed again.
        """
        try:
            if self._pending:
                self.flush()
        finally:
            self._pending.clear()
            for writer in self._writers.values():
                with suppress(InputError):  # all that counts was flushed, or is owed
                    writer.close()
            self._writers.clear()
            if self._lock:
                self._lock.close()
                self._lock = None

    def load(self, kept_only: bool = False) -> Prepared:
        """Tasks, toolsets and worlds of all tasks with a trace, kept or rejected (or of the kept ones alone).

        Raises:
            InputError: this is no run folder, or a file of it is damaged.
        """
        if not (self.path / TRACES).exists():
            raise InputError(f"{self.path}: not a run folder ({TRACES} is missing)")
        ids = {record["task_id"] for record in self._read(TRACES)}
        if not kept_only:
            ids |= {record["task_id"] for record in self._read(REJECTED) if record["trace"]}
        tools = {record.pop("id"): ToolContract(**record) for record in self._read(TOOLS)}
        # After a kill, a task may have lines of an unfinished attempt too: the last ones belong to its outcome.
        tasks = {record["id"]: Task(**record) for record in self._read(TASKS) if record["id"] in ids}
        toolsets = {record["task_id"]: record["tools"] for record in self._read(TOOLSETS)}
        worlds = {record["task_id"]: record for record in self._read(WORLDS) if record["task_id"] in ids}
        try:
            return Prepared(
                tasks=[tasks[task_id] for task_id in sorted(ids)],
                toolsets={task_id: tuple(tools[name] for name in toolsets[task_id]) for task_id in sorted(ids)},
                worlds={task_id: World.from_record(worlds[task_id]) for task_id in sorted(ids)},
            )
        except KeyError as error:
            raise InputError(f"{self.path}: damaged, {error} is missing from its files") from None

    def traces(self) -> Iterator[Trace]:
        """Kept traces, sorted by task id."""
        return (Trace(**record) for record in self.records(TRACES))

    def records(self, name: str) -> Iterator[dict[str, Any]]:
        """Records of one outcome file sorted by task id, one in memory at a time; none if the file is missing."""
        finish(self.path)
        return sorted_records(self.path / name)

    def ended(self) -> Iterator[Ended]:
        """Every task that has its outcome, sorted by id, one in memory at a time.

        Raises:
            InputError: a file is damaged.
        """
        finish(self.path)
        for records in joined(self.path, {TASKS: "id", **dict.fromkeys((WORLDS, *OUTCOMES), "task_id")}):
            name = next((name for name in OUTCOMES if name in records), None)
            if name is None:  # still owed
                continue
            try:
                yield Ended(records[TASKS], name, records[name], records.get(WORLDS))
            except KeyError:
                task_id = records[name]["task_id"]
                raise InputError(f"{self.path}: damaged, task {task_id!r} of {name} is not in {TASKS}") from None

    def _read(self, name: str) -> Iterator[dict[str, Any]]:
        finish(self.path)
        path = self.path / name
        return read_jsonl(path) if path.exists() else iter(())

    def _drop_unfinished(self) -> None:
        """Count what is done, and drop whatever belongs to no task that is done."""
        tools = {record["id"] for record in self._read(TOOLS)}
        offered = {record["task_id"] for record in self._read(TOOLSETS) if tools.issuperset(record["tools"])}
        prepared = offered & {record["task_id"] for record in self._read(WORLDS)}
        listed = {record["id"] for record in self._read(TASKS)}

        def complete(record: dict[str, Any]) -> bool:
            has_trace = "steps" in record or record.get("trace") is not None
            return record["task_id"] in listed and (not has_trace or record["task_id"] in prepared)

        for name in OUTCOMES:
            prune(self.path / name, complete)
            for record in self._read(name):
                self._count(name, record)
        for task_id in listed:
            self._listed[hash64(task_id)] = 1
        for name in (TOOLSETS, WORLDS):
            prune(self.path / name, lambda record: hash64(record["task_id"]) in self._done)
        used = {name for record in self._read(TOOLSETS) for name in record["tools"]}
        prune(self.path / TOOLS, lambda record: record["id"] in used)
        for identifier in used:
            self._tools[hash64(identifier)] = 1

    def _write_prepared(self, world: World, trace: Trace) -> None:
        ids = []
        for contract in trace.toolset:
            ids.append(identifier := contract_id(contract))
            if (key := hash64(identifier)) not in self._tools:
                self._tools[key] = 1
                self._writers[TOOLS].write({"id": identifier, **contract.model_dump(mode="json")})
        self._writers[TOOLSETS].write({"task_id": trace.task_id, "tools": ids})
        self._writers[WORLDS].write(world.to_record())

    def _commit(self, name: str, record: dict[str, Any]) -> None:
        self._pending.append((name, record))
        self._count(name, record)
        if len(self._pending) >= SYNC_RECORDS or time.monotonic() - self._synced >= SYNC_SECONDS:
            self.flush()

    def _count_trace(self, task: Task, trace: Trace | None) -> None:
        if trace:
            self.oracles.add(trace, task)

    def _count(self, name: str, record: dict[str, Any]) -> None:
        self._done[hash64(record["task_id"])] = 1
        self.counts[name] += 1
        self.reasons.update(record.get("reasons", ()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
