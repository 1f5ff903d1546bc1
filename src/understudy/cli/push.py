"""``understudy push``: the data set of a run, on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.synthesis.push import push


def command(
    path: Annotated[Path, typer.Argument(help="Folder of a run of understudy synth.")],
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hub; made if there is none.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see a repository that is made.")] = False,
) -> None:
    """Upload the data set of a run to the Hub, privately unless told otherwise; with HF_TOKEN or the saved token."""
    typer.echo(f"pushed to {push(path, repository, public)}")
