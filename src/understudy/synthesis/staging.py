"""Replacing several files of a folder as if they were one.

New versions are written into a folder beside them, and a marker says when they are complete. From then on the
replacement happens whatever comes between: whoever finds the marker finishes it. Without a marker nothing happened.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from understudy.jsonl import disk_error, write_atomic

_STAGED, _COMPLETE = ".staged", "complete"


def stage(folder: Path) -> Path:
    """An empty folder for new versions of files of ``folder``. Only its one writer may call this.

    Raises:
        InputError: the disk refuses.
    """
    clear(folder)
    staged = folder / _STAGED
    try:
        staged.mkdir(parents=True)
    except OSError as error:
        raise disk_error(staged, error) from None
    return staged


def commit(folder: Path) -> None:
    """Replace the files of ``folder`` by those that were staged.

    Raises:
        InputError: the disk refuses; either nothing was replaced, or the rest follows with ``finish``.
    """
    staged = folder / _STAGED
    try:
        for file in staged.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    except OSError as error:
        raise disk_error(staged, error) from None
    write_atomic(staged / _COMPLETE, b"")
    finish(folder)


def clear(folder: Path) -> None:
    """Finish what was committed, and drop what was not. Only the folder's one writer may call this."""
    finish(folder)
    shutil.rmtree(folder / _STAGED, ignore_errors=True)


def finish(folder: Path) -> None:
    """Finish a replacement that was committed and interrupted, if there is one. Readers may call it at any time."""
    staged = folder / _STAGED
    if not (staged / _COMPLETE).exists():
        return
    try:
        for file in staged.iterdir():
            if file.name != _COMPLETE:
                with suppress(FileNotFoundError):  # another reader was faster
                    file.replace(folder / file.name)
        shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise disk_error(folder, error) from None
