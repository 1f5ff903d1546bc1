"""Files that survive a kill: JSONL logs that are only appended to, and whole files that are replaced atomically.

A record counts once its line ends in a newline. A torn last line (the process died while writing) is ignored by
readers and cut off by the next writer, so the work behind it is owed again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from understudy.errors import InputError


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a whole file so that a reader sees the old or the new one, never a part: temp beside, fsync, replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(path, error) from None


def write_json(path: Path, value: object) -> None:
    """Write one JSON document atomically, indented for people."""
    write_atomic(path, orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read_json(path: Path) -> Any:
    """Read one JSON document.

    Raises:
        InputError: the file is missing or not JSON.
    """
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: not valid JSON ({error.msg}, line {error.lineno})") from None


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, without a torn last line.

    Raises:
        InputError: the file is missing, or a complete line is not a JSON object.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            if not line.strip():
                continue
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise InputError(f"{path}:{number}: not valid JSON ({error.msg})") from None
            if not isinstance(value, dict):
                raise InputError(f"{path}:{number}: expected a JSON object")
            yield value


class JsonlWriter:
    """The one writer of a JSONL file. Cuts off a torn last line when opened.

    Args:
        path: the file; made with its folders if missing.
        sync_every: records between two fsyncs; 1 means that a written record survives a power cut. A kill of the
            process loses nothing either way.
    """

    def __init__(self, path: Path, sync_every: int = 1) -> None:
        self.path = path
        self._sync_every, self._unsynced = sync_every, 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            self._file.truncate(_complete_bytes(path))
        except OSError as error:
            raise disk_error(path, error) from None

    def write(self, record: object) -> None:
        """Append one record.

        Raises:
            InputError: the disk refuses it (full, read-only); what was complete before stays.
        """
        try:
            self._file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            self._unsynced += 1
            self._file.flush()
        except OSError as error:
            raise disk_error(self.path, error) from None
        if self._unsynced >= self._sync_every:
            self.flush()

    def flush(self) -> None:
        """Bring everything written so far to the disk.

        Raises:
            InputError: the disk refuses it.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(self.path, error) from None
        self._unsynced = 0

    def close(self) -> None:
        """Flush and close."""
        if self._file.closed:
            return
        try:
            self.flush()
        finally:
            with suppress(OSError):  # what could not be flushed is tried again by close, and fails again
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def disk_error(path: Path, error: OSError) -> InputError:
    """One line for whatever the file system refuses."""
    return InputError(
        f"{path}: can't write ({(error.strerror or str(error)).lower()}); free space or choose another folder"
    )


def _complete_bytes(path: Path, block: int = 1 << 16) -> int:
    """Size of the file up to and including its last newline, read from the end."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - block)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
