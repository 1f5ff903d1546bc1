"""``understudy tools``: what the tools of a run are like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from understudy.jsonl import write_atomic, write_json
from understudy.report.loglog import Curve, rank_frequency
from understudy.synthesis.store import RunFolder
from understudy.synthesis.toolstats import Ranking, tool_stats

app = typer.Typer(help="The tools of a run.", no_args_is_help=True)
MEASURED, PLOT = "tools.json", "tools.svg"


@app.command()
def stats(path: Annotated[Path, typer.Argument(help="Folder of a run of understudy synth.")]) -> None:
    """Count a run's tools, fit a power law to how often they are offered and called, and plot it (tools.svg)."""
    found = tool_stats(RunFolder(path))
    write_json(path / MEASURED, found.model_dump(mode="json"))
    rankings = {"offered to tasks": found.offered, "called in kept traces": found.called}
    curves = [
        Curve(f"{name}: {_fit(ranking)}", ranking.frequencies, ranking.slope) for name, ranking in rankings.items()
    ]
    write_atomic(path / PLOT, rank_frequency(curves, f"Tools by rank and frequency: {path.name}"))
    table = Table("tools", "tools used", "times", "times per tool", "power law")
    for name, ranking in rankings.items():
        each = f"{ranking.total / ranking.tools:.2f}" if ranking.tools else "–"
        table.add_row(name, f"{ranking.tools:,}", f"{ranking.total:,}", each, _fit(ranking))
    Console().print(table)
    unique = f"{found.tools:,} unique tools, {found.up_to_naming:,} up to naming, in {found.tasks:,} tasks"
    typer.echo(f"{unique}; {path / MEASURED}, {path / PLOT}")
    for identifier, count in found.called.top.items():
        typer.echo(f"  called: {count:,} × {identifier}")
    for name, count in found.utilities.items():
        typer.echo(f"  utility: {count:,} × {name}")


def _fit(ranking: Ranking) -> str:
    return "too few tools" if ranking.slope is None else f"slope {ranking.slope:.3f}, R² {ranking.r2:.3f}"
