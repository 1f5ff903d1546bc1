"""``understudy eval``: the score of a policy with its controls; two scores compared; the simulated-to-live gap."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from understudy.cli.policies import open_policy
from understudy.cli.progress import Reporter, Stage
from understudy.config import load_config
from understudy.errors import InputError
from understudy.evaluation.compare import Comparison, Flip, compare
from understudy.evaluation.gap import run_gap
from understudy.evaluation.run import RESULT, Evaluation, Show, read_run, run_evaluation
from understudy.evaluation.settings import EvalConfig
from understudy.jsonl import write_json
from understudy.metric import Metric
from understudy.synthesis.resume import differences

MAX_FLIPS = 20

app = typer.Typer(help="Score policies, and compare scores.", invoke_without_command=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file, or the manifest.json of an earlier run.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an earlier run of the same folder.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Any setting as key=value.")]


@app.callback()
def command(
    context: typer.Context,
    config: ConfigOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/eval"),
    resume: ResumeOption = False,
    set_: SetOption = None,
) -> None:
    """Score a policy on a set of questions, with controls. The manifest that it writes runs the same again."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings(config, set_)
    with _stages() as show:
        finished = asyncio.run(run_evaluation(settings, out, open_policy, resume, show))
    show_result(finished)
    typer.echo(f"result: {out / RESULT}")


@app.command("compare")
def compare_runs(
    first: Annotated[Path, typer.Argument(help="Folder of the evaluation to start from.")],
    second: Annotated[Path, typer.Argument(help="Folder of the one that should differ.")],
    json: Annotated[Path | None, typer.Option(help="Write all of it to this file.")] = None,
) -> None:
    """Compare two evaluations of the same questions: paired differences, and the questions that changed."""
    (manifest, one), (other_manifest, other) = read_run(first), read_run(second)
    found = compare(one, other)
    typer.echo("what differs:")
    for line in differences(manifest.model_dump(mode="json"), other_manifest.model_dump(mode="json"), {"pins.ids"}):
        typer.echo(f"  {line}")
    table = Table("", "first", "second", "second − first")
    table.add_row("EM", _figures(one.em), _figures(other.em), _figures(found.em))
    table.add_row("F1", _figures(one.f1), _figures(other.f1), _figures(found.f1))
    Console().print(table)
    _show_flips(found)
    if json:
        write_json(json, found.model_dump(mode="json"))


@app.command("gap")
def gap(
    config: ConfigOption = None,
    out: Annotated[Path, typer.Option(help="Folder for both sides.")] = Path("runs/gap"),
    resume: ResumeOption = False,
    set_: SetOption = None,
) -> None:
    """Measure the simulated-to-live gap: one policy, the same questions, simulated and live search."""
    settings = _settings(config, set_)
    with _stages() as show:
        found = asyncio.run(run_gap(settings, out, open_policy, resume, show))
    table = Table("", "simulated", "live", "live − simulated")
    table.add_row("EM", _figures(found.simulated), _figures(found.live), _figures(found.difference.em))
    Console().print(table)
    for name, metric in (
        ("calls made on both sides", found.observations.shared),
        ("  of these, same status", found.observations.status),
        ("  overlap of words", found.observations.words),
        ("  agree whether they say the answer", found.observations.answer),
    ):
        typer.echo(f"{name}: {_figures(metric)} of {metric.n}")
    _show_flips(found.difference)


def show_result(finished: Evaluation) -> None:
    """Print a score beside its controls, and how the rollouts went."""
    result, controls = finished.result, finished.controls
    typer.echo(f"{result.policy} · tools: {result.tools} · facts: {result.facts} · {result.em.n} questions")
    table = Table("", "EM", "F1")
    table.add_row("result", _figures(result.em), _figures(result.f1))
    rows = (("no tools", controls.no_tools), ("no-op", controls.noop), ("simulator asked directly", controls.simulator))
    for name, control in rows:
        if control is not None:
            table.add_row(name, _figures(control.em), _figures(control.f1))
    table.add_row("guessing", _figures(controls.chance), "")
    Console().print(table)
    stops = ", ".join(f"{stop} {count}" for stop, count in result.stops.items())
    typer.echo(f"scorer {result.rule} · {stops}")
    typer.echo(
        f"calls per question {result.calls.value:.2f}, in {result.turns.value:.2f} turns · "
        f"invalid {result.invalid_calls.value:.1%} · "
        f"tokens {result.tokens} sampled, {result.prompted} read · cost {result.cost:g} · "
        f"seconds per question {result.latency.p50:.2f} (median), {result.latency.p95:.2f} (p95)"
    )


def _settings(config: Path | None, overrides: list[str] | None) -> EvalConfig:
    if config is None and not overrides:
        raise InputError("--config FILE is missing; configs/eval/ has examples")
    return load_config(EvalConfig, config, overrides or ())


@contextmanager
def _stages() -> Iterator[Show]:
    """Shows the stages of runs, one after the other."""
    reporter = Reporter()
    with ExitStack() as open_stages:
        shown: dict[str, Stage] = {}

        def show(name: str, done: int, total: int, correct: int | None) -> None:
            if name not in shown:
                open_stages.close()
                shown[name] = open_stages.enter_context(reporter.stage(f"eval {name.replace('_', ' ')}", total))
            if correct is None:
                shown[name](done)
            else:
                shown[name](done, em=correct / done)

        yield show


def _show_flips(found: Comparison) -> None:
    for name, flips in (("turned right", found.gained), ("turned wrong", found.lost)):
        typer.echo(f"{name}: {len(flips)}")
        for flip in flips[:MAX_FLIPS]:
            typer.echo(f"  {_told(flip)}")
        if len(flips) > MAX_FLIPS:
            typer.echo(f"  … and {len(flips) - MAX_FLIPS} more")


def _told(flip: Flip) -> str:
    return f"{flip.task_id}: {flip.question} [{' | '.join(flip.answers)}] {flip.first!r} → {flip.second!r}"


def _figures(metric: Metric) -> str:
    low, high = metric.ci95
    return f"{metric.value:.3f}  ({low:.3f} to {high:.3f})"
