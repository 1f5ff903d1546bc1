"""Whether a file of traces is what it should be, line by line: the traces of a run, or any tool-calling data set.

This checks what a trace is in itself (it parses, it ends in an answer, its calls and results keep their contracts);
whether it is fit to learn from is what the audit of a run decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from understudy.contract import first_problem
from understudy.errors import InputError
from understudy.synthesis.audit import structure
from understudy.synthesis.dataset import read_rows
from understudy.synthesis.rows import from_row
from understudy.synthesis.store import FAILURES, REJECTED, TRACES, RunFolder
from understudy.trace import Trace

MAX_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: ``file:line`` (``file:row`` for parquet, both from 1), and what is wrong there."""

    where: str
    what: str


@dataclass(slots=True)
class Validation:
    """What was checked, and what is wrong; at most ``MAX_KEPT`` problems are kept, all are counted."""

    traces: int = 0
    count: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        """Count a problem."""
        self.count += 1
        if len(self.problems) < MAX_KEPT:
            self.problems.append(Problem(where, what))


def validate(path: Path) -> Validation:
    """Check a run folder, a folder of parquet or JSONL files, or one such file.

    Raises:
        InputError: there is nothing to check, or a file can't be read at all.
        MissingExtraError: it is parquet, and pyarrow is not installed.
    """
    found = Validation()
    if (path / TRACES).is_file():
        _validate_run(path, found)
    elif path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in (".parquet", ".jsonl"))
        if not files:
            raise InputError(f"{path}: no run, no parquet and no JSONL file in this folder")
        for file in files:
            _validate_file(file, found)
    elif path.is_file():
        _validate_file(path, found)
    else:
        raise InputError(f"{path}: no such file")
    return found


def _validate_run(path: Path, found: Validation) -> None:
    _validate_file(path / TRACES, found)
    ended: Counter[str] = Counter()
    for name in (TRACES, REJECTED, FAILURES):
        if not (path / name).exists():
            found.add(name, "the file is missing")
            continue
        for where, record in _lines(path / name, found if name != TRACES else Validation()):
            task_id = record.get("task_id")
            if not isinstance(task_id, str):
                found.add(where, "task_id is missing")
                continue
            ended[task_id] += 1
            if ended[task_id] == 2:
                found.add(where, f"task {task_id!r} has two outcomes")
    try:
        RunFolder(path).load()
    except (InputError, ValueError, KeyError, TypeError) as error:
        found.add(path.name, first_problem(error) if isinstance(error, ValueError) else str(error))


def _validate_file(path: Path, found: Validation) -> None:
    ids: set[str] = set()
    for where, record in _lines(path, found):
        content = record.get("trace") if "reasons" in record else record
        if content is None:  # a task that was refused without a rollout
            continue
        found.traces += 1
        try:
            trace = _trace(content)
        except InputError as error:
            found.add(where, str(error))
            continue
        if trace.task_id in ids:
            found.add(where, f"task {trace.task_id!r} appears twice")
        if trace.task_id:
            ids.add(trace.task_id)
        for reason, detail in structure(trace):
            found.add(where, f"{reason}: {detail}")


def _trace(record: dict[str, Any]) -> Trace:
    if "messages" in record:
        return from_row(record)
    if "steps" not in record:
        raise InputError("neither a trace (steps) nor a row of a data set (messages)")
    try:
        return Trace(**record)
    except (ValueError, TypeError) as error:
        raise InputError(first_problem(error) if isinstance(error, ValueError) else str(error)) from None


def _lines(path: Path, found: Validation) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix == ".parquet":
        yield from ((f"{path.name}:{number}", row) for number, row in enumerate(read_rows(path), 1))
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{path.name}:{number}"
            if not line.strip():
                continue
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                torn = "" if line.endswith(b"\n") else "; the line is torn, and cut off when the run is resumed"
                found.add(where, f"not valid JSON ({error.msg}){torn}")
                continue
            if isinstance(record, dict):
                yield where, record
            else:
                found.add(where, "expected a JSON object")
