"""``understudy index``: a file of passages becomes a search index on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.progress import Reporter
from understudy.search.corpus import read_passages
from understudy.search.disk import DiskIndex


def command(
    passages: Annotated[Path, typer.Argument(help="JSON Lines, CSV or TSV with title and text, or with contents.")],
    out: Annotated[Path, typer.Option(help="Folder of the index; must not exist.")],
) -> None:
    """Build a search index on disk, for as many passages as there are. A killed build starts anew."""
    with Reporter().stage("index", None) as stage:
        index = DiskIndex.build(out, read_passages(passages), stage)
    size = sum(file.stat().st_size for file in out.iterdir())
    typer.echo(f"{out}: {index.passages} passages, {size / 1e6:.0f} MB, {index.name}")
