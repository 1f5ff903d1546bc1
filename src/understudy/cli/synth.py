"""``understudy synth``: a file of questions becomes an audited data set of complete traces."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field
from rich.console import Console
from rich.table import Table

from understudy.agents.autoagent import Form
from understudy.cli.progress import Reporter
from understudy.config import Config, load_config, read_table
from understudy.errors import InputError, MissingExtraError, ThresholdError
from understudy.jsonl import read_json
from understudy.lab.teacher import ScriptedModel
from understudy.llm.ledger import REQUESTS, Ledger
from understudy.llm.models import Models, ModelsSettings, free_keys
from understudy.llm.protocol import ChatModel
from understudy.protocols import Teacher
from understudy.readers import FORMATS, read_tasks
from understudy.synthesis.dataset import export_dataset
from understudy.synthesis.pipeline import FREE_KEYS, Progress, Summary, SynthesisSettings, synthesise
from understudy.synthesis.store import CONFIG, DATASET, FAILURES, SUMMARY, RunFolder
from understudy.synthesis.teacher import AgentTeacher
from understudy.teachers.evidence import EvidenceTeacher
from understudy.world import FactsFrom

MAX_FAILURES = 5


class TeacherKind(StrEnum):
    """Who makes the traces."""

    EVIDENCE = "evidence"
    """Follows annotated reasoning (2WikiMultiHopQA triples, MuSiQue decompositions); needs no model."""
    ENDPOINT = "endpoint"
    """The agents on an OpenAI-compatible endpoint."""
    SCRIPTED = "scripted"
    """The agents on the lab's scripted model, in this process; it understands the lab's questions alone."""


class SynthConfig(Config):
    """What ``understudy synth`` does."""

    questions: str
    """File of questions (JSON Lines, a JSON array or CSV, each may be gzip), or ``hf:NAME[:CONFIG][@SPLIT]``."""

    format: str = "auto"
    """Their layout; ``auto`` reads it off the first record."""

    limit: int | None = Field(default=None, gt=0)
    """Read at most this many questions."""

    teacher: TeacherKind = TeacherKind.EVIDENCE
    """Who makes the traces."""

    endpoint: ModelsSettings | None = None
    """The chat models of the four agents, for ``teacher = "endpoint"``."""

    form: Form = Form.NATIVE
    """Whether the AutoAgent calls tools natively or in plain-text ReAct."""

    facts: FactsFrom = FactsFrom.EVIDENCE
    """``evidence`` where a task has it, else drafted; ``drafted`` from the question alone; ``none``."""

    library: bool = True
    """Whether the agents' tools are reused from task to task, where one that was made before fits."""

    licence: str = Field(default="other", pattern=r"[a-z0-9][a-z0-9.-]*")
    """Licence of the data set, by its identifier on the Hub (``cc-by-sa-4.0``); it follows from the questions'."""

    synthesis: SynthesisSettings = SynthesisSettings()
    """Seeds, concurrency, limits and audit."""


def command(
    questions: Annotated[
        str | None,
        typer.Option(help="File of questions (JSONL, CSV or a benchmark's own), or hf:NAME[:CONFIG][@SPLIT]."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/synth"),
    config: Annotated[Path | None, typer.Option(help="TOML file, or a run's config.json; flags win over it.")] = None,
    teacher: Annotated[TeacherKind | None, typer.Option(help="Who makes the traces.")] = None,
    format: Annotated[str | None, typer.Option(help=f"Layout of the questions: {', '.join(FORMATS)}.")] = None,
    base_url: Annotated[str | None, typer.Option(help="OpenAI-compatible endpoint, up to /v1.")] = None,
    model: Annotated[str | None, typer.Option(help="The model's name there.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Tasks in work and requests under way at once.")] = None,
    limit: Annotated[int | None, typer.Option(help="Read at most this many questions.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run of the same folder.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting as key=value.")] = None,
) -> None:
    """Make an audited data set of traces from a file of questions."""
    if not (questions or config or set_):
        raise InputError("--questions FILE is missing (or --config with a file that names them)")
    named = base_url or "endpoint." in " ".join(set_ or ()) or (config and read_table(config).get("endpoint"))
    flags = {
        "questions": questions,
        "teacher": teacher and teacher.value,
        "format": format,
        "limit": limit,
        "endpoint.base_url": base_url,
        "endpoint.model": model,
        "endpoint.concurrency": concurrency if named else None,
        "synthesis.concurrency": concurrency,
    }
    given = [f"{key}={_toml(value)}" for key, value in flags.items() if value is not None]
    settings = load_config(SynthConfig, config, [*given, *(set_ or ())])
    exceeded: ThresholdError | None = None
    try:
        asyncio.run(synth(settings, out, resume))
    except ThresholdError as error:  # everything is written, and worth showing
        exceeded = error
    folder = RunFolder(out)
    show(folder)
    try:
        publish(folder)
    finally:
        if exceeded:
            raise exceeded


async def synth(config: SynthConfig, out: Path, resume: bool = False) -> Summary:
    """Run a synthesis.

    Raises:
        InputError: the questions, the endpoint's settings or the folder can't be used, or the disk refuses.
        OutageError: the endpoint is gone; what was done is safe, and the run can be resumed.
        ThresholdError: more tasks failed than ``synthesis.max_failed`` allows; everything is written.
    """
    if config.teacher is TeacherKind.ENDPOINT and config.endpoint is None:
        raise InputError("teacher = endpoint needs --base-url and --model (or an [endpoint] table)")
    # Read twice and never held: the first time to find bad rows before any work is done.
    total = sum(1 for _ in read_tasks(config.questions, config.format, config.limit))
    free = [*(f"synthesis.{key}" for key in FREE_KEYS), *free_keys("endpoint"), "licence"]
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(RunFolder(out))
        ledger: Ledger | None = None
        if config.teacher is TeacherKind.EVIDENCE:
            who: Teacher = EvidenceTeacher()
        else:
            models: ChatModel | Models = ScriptedModel(config.synthesis.seed)
            if config.endpoint and config.teacher is TeacherKind.ENDPOINT:
                models = await stack.enter_async_context(Models(config.endpoint, out / REQUESTS))
                ledger = models.ledger
            who = AgentTeacher.on(
                models, config.form, config.facts is not FactsFrom.NONE, config.facts is FactsFrom.EVIDENCE
            )
        folder.start(config.model_dump(mode="json"), resume, free)
        if ledger:
            stack.enter_context(ledger)
        stage = stack.enter_context(Reporter().stage("synthesis", total))

        def show_progress(progress: Progress) -> None:
            shown = {"kept": progress.kept, "rejected": progress.rejected, "failed": progress.failed}
            paid = {"tokens": progress.tokens, "cost": progress.cost} if ledger else {}
            stage(progress.done, None, **shown, **{"traces/s": progress.rate}, **paid)

        tasks = read_tasks(config.questions, config.format, config.limit)
        if config.library and isinstance(who, AgentTeacher):
            tasks = stack.enter_context(closing(who.reuse_tools(folder))).follow(tasks)
        return await synthesise(tasks, who, folder, config.synthesis, show_progress, ledger)


def show(folder: RunFolder) -> None:
    """Print what a run kept, and why it did not keep the rest."""
    summary = Summary(**read_json(folder.path / SUMMARY))
    table = Table("tasks", "kept", "rejected", "failed", "seconds", "traces/s", "requests", "tokens", "cost")
    figures = (summary.tasks, summary.kept, summary.rejected, summary.failed)
    speed = (f"{summary.seconds:.1f}", f"{summary.traces_per_second:.3g}")
    paid = (f"{summary.requests:,}", f"{sum(summary.tokens.values()):,}", f"{sum(summary.cost.values()):,.4g}")
    table.add_row(*map(str, figures), *speed, *paid)
    Console().print(table)
    if summary.one_call.n:
        typer.echo(f"  one call gives the answer: {summary.one_call.value:.1%} of {summary.one_call.n} tasks")
    for reason, count in sorted(summary.reasons.items(), key=lambda item: -item[1]):
        typer.echo(f"  rejected: {count} × {reason}")
    failures = Counter(f"{failure['class']}: {failure['message']}" for failure in folder.records(FAILURES))
    for failure, count in failures.most_common(MAX_FAILURES):
        typer.echo(f"  failed: {count} × {failure}")
    if len(failures) > MAX_FAILURES:
        typer.echo(f"  … and {len(failures) - MAX_FAILURES} other failures; see {folder.path / FAILURES}")


def publish(folder: RunFolder) -> None:
    """Write the data set of a run, under the licence that its configuration states."""
    licence = read_json(folder.path / CONFIG).get("licence", SynthConfig.model_fields["licence"].default)
    try:
        export_dataset(folder, licence=licence)
    except MissingExtraError as error:
        # Who has only an endpoint installs no data set library; the traces are complete without.
        typer.echo(f"{folder.path / DATASET} is not written: {error}, and the same command with --resume", err=True)


def _toml(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return str(value) if isinstance(value, int) else f'"{text}"'
