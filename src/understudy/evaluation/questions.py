"""Which questions an evaluation asks, and the hash that says whether they are still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from understudy.errors import InputError
from understudy.evaluation.settings import QuestionSettings
from understudy.readers import read_tasks
from understudy.readers.hub import PREFIX, commit
from understudy.schema import canonical
from understudy.synthesis.store import RunFolder
from understudy.task import Task


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked.

    Attributes:
        tasks: in the order of their file.
        sha256: of the file; of a run folder or a Hub data set, that of these tasks.
        revision: commit of a Hub data set; else as configured.
    """

    tasks: tuple[Task, ...]
    sha256: str
    revision: str


def read_questions(settings: QuestionSettings, ids: Sequence[str] = ()) -> Questions:
    """Read the questions of a configuration.

    Args:
        settings: where they are, and which of them are asked.
        ids: exactly these; empty for all that the settings select.

    Raises:
        InputError: they can't be read, there are none, or one of ``ids`` is missing.
        MissingExtraError: a Hub data set needs ``datasets``.
    """
    name, revision = settings.path, settings.revision
    if name.startswith(PREFIX):
        revision = commit(name, revision)
    folder = Path(name)
    all_tasks: Iterable[Task] = (
        RunFolder(folder).load().tasks if folder.is_dir() else read_tasks(name, settings.format, revision=revision)
    )
    selected = (task for task in all_tasks if settings.split in ("", task.split))
    tasks = _listed(selected, ids, name) if ids else tuple(islice(selected, settings.limit))
    if not tasks:
        raise InputError(f"{name}: no question{f' of the split {settings.split!r}' if settings.split else ''}")
    return Questions(tasks, file_sha256(folder) if folder.is_file() else _sha256(tasks), revision)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        InputError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: can't read ({(error.strerror or str(error)).lower()})") from None


def _sha256(tasks: Iterable[Task]) -> str:
    whole = hashlib.sha256()
    for task in tasks:
        whole.update(canonical(task.model_dump(mode="json")) + b"\n")
    return whole.hexdigest()


def _listed(tasks: Iterable[Task], ids: Sequence[str], name: str) -> tuple[Task, ...]:
    wanted = set(ids)
    found = {task.id: task for task in tasks if task.id in wanted}
    if missing := [known for known in ids if known not in found]:
        raise InputError(f"{name}: {len(missing)} questions of the manifest are not there ({missing[0]!r} is one)")
    return tuple(found[known] for known in ids)
