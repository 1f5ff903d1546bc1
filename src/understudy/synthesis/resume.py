"""What makes resuming exact: a folder has one writer, one configuration, and no trace of unfinished work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any

import orjson

from understudy.errors import InputError
from understudy.jsonl import disk_error, read_json, read_jsonl, write_json

MAX_SHOWN = 8
"""Changed keys that are named."""


def lock(folder: Path) -> IO[bytes]:
    """Claim a folder for this process. Closing the file, or ending the process in any way, gives it free.

    Raises:
        InputError: another process has it, or the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("wb")
    except OSError as error:
        raise disk_error(folder, error) from None
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise InputError(f"{folder}: another process is writing to this folder") from None
    return file


def claim_config(
    path: Path, config: dict[str, Any], resume: bool, results: Collection[Path], free: Collection[str]
) -> None:
    """Save a run's configuration, or check that a resumed run has the same one.

    Args:
        path: where the configuration lies.
        config: the resolved configuration, JSON values only.
        resume: whether to go on with earlier results. Where a configuration lies alone, a run starts either way: the
            earlier one ended before it had any.
        results: files that a run writes.
        free: dotted keys that may differ, as they don't change results.

    Raises:
        InputError: the folder holds another run's results, or the configuration changed (one line per key).
    """
    others = [entry for entry in path.parent.glob("[!.]*") if entry.name != path.name]
    if not path.exists() or not others:
        if held := [result.name for result in results if result.exists()]:
            raise InputError(f"{path.parent}: holds {held[0]} but no {path.name}; choose another folder")
        write_json(path, config)
        return
    if not resume:
        raise InputError(f"{path.parent}: holds another run's results; add --resume or choose another folder")
    if changed := differences(read_json(path), orjson.loads(orjson.dumps(config)), free):
        more = [f"… and {len(changed) - MAX_SHOWN} more"] if len(changed) > MAX_SHOWN else []
        lines = "\n".join(f"  {line}" for line in [*changed[:MAX_SHOWN], *more])
        raise InputError(f"{path.parent}: can't resume, the configuration changed:\n{lines}")


def differences(old: Any, new: Any, free: Collection[str] = (), key: str = "") -> list[str]:
    """One line per differing key of two configurations, keys of tables joined by dots."""
    if key in free or old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for name in dict.fromkeys((*old, *new))
            for line in differences(old.get(name), new.get(name), free, f"{key}.{name}" if key else name)
        ]
    return [f"{key}: was {old!r}, now {new!r}"]


def prune(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Drop records from a JSONL file: rewritten beside and replaced, and only if there is something to drop.

    Raises:
        InputError: the file is damaged, or the disk refuses.
    """
    if not path.exists() or all(keep(record) for record in read_jsonl(path)):
        return
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            for record in read_jsonl(path):
                if keep(record):
                    file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(path, error) from None
