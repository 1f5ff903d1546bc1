"""``understudy audit``: the audit of a run again, with other settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.synth import publish, show
from understudy.config import load_config
from understudy.synthesis.audit import AuditSettings
from understudy.synthesis.reaudit import audit_settings, reaudit
from understudy.synthesis.store import SUMMARY, RunFolder


def command(
    path: Annotated[Path, typer.Argument(help="Folder of a run of understudy synth.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="An audit setting as key=value; the others stay as they were.")
    ] = None,
) -> None:
    """Audit the traces of a run again with other settings, without any request, and write its data set anew."""
    folder = RunFolder(path)
    settings = load_config(AuditSettings, None, set_ or (), audit_settings(folder).model_dump(mode="json"))
    done = reaudit(folder, settings)
    if (path / SUMMARY).exists():  # an interrupted run has none
        show(folder)
    typer.echo(f"{path}: {done.kept} traces kept; {done.freed} were rejected before, {done.dropped} no longer are kept")
    if done.without_trace:
        typer.echo(
            f"{done.without_trace} tasks were refused before any rollout and now would not be; they stay in "
            f"rejected.jsonl until their lines are taken out and the run is resumed"
        )
    publish(folder)
