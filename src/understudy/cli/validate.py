"""``understudy validate``: check any file of traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.errors import ThresholdError
from understudy.synthesis.validate import validate

MAX_SHOWN = 20


def command(
    path: Annotated[Path, typer.Argument(help="A run folder, its traces.jsonl, or a messages + tools data set.")],
) -> None:
    """Check every trace of a file: grammar, contracts, order of messages. Exit code 3 when one is broken."""
    found = validate(path)
    for problem in found.problems[:MAX_SHOWN]:
        typer.echo(f"{problem.where}: {problem.what}")
    if found.count > MAX_SHOWN:
        typer.echo(f"… and {found.count - MAX_SHOWN} more")
    if found.count:
        raise ThresholdError(f"{path}: {found.count} problems in {found.traces} traces")
    typer.echo(f"{path}: {found.traces} traces, all valid")
