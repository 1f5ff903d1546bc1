"""``understudy demo``: the whole method in the embedded lab, from questions to a report.

Train and test universes share no entity and no name. Every stage leaves its result in the output folder, so a killed
run goes on where it was and ends in the same report.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from rich.console import Console
from rich.table import Table

from understudy.cli.progress import Reporter
from understudy.config import Config, load_config
from understudy.errors import InputError, needs_extra
from understudy.jsonl import read_json, write_json
from understudy.lab.mistakes import Mistakes
from understudy.metric import Metric
from understudy.report.model import Report, SeedRun
from understudy.report.page import HTML, read_report
from understudy.rollout import Limits
from understudy.synthesis.pipeline import SynthesisSettings
from understudy.synthesis.resume import claim_config, lock
from understudy.synthesis.store import CONFIG
from understudy.task import Kind

STAGES, TOTAL, REPORT = "stages.json", "total", "report"
SEEDS = 3
"""Runs of a full demo."""


class SftShape(Config):
    """SFT of the lab's model."""

    lr: float = Field(default=5e-3, gt=0)
    """Peak learning rate (Muon for the matrices, AdamW for the rest)."""

    epochs: int = Field(default=6, gt=0)
    """Times that each kept trace is told: as it is, then with other names every time; all shuffled together."""

    batch_size: int = Field(default=4, gt=0)
    """Traces per step, of all processes together."""

    held_out: float = Field(default=0.05, gt=0, lt=1)
    """Share of the traces on which the checkpoint is chosen."""

    save_every: int = Field(default=200, gt=0)
    """Steps between two checkpoints, each measured on the held-out traces."""


class GrpoShape(Config):
    """GRPO of the lab's model."""

    optimizer: Literal["adamw", "muon"] = "muon"
    """As in ``grpo``'s own settings."""

    lr: float = Field(default=2e-4, gt=0)
    """Learning rate."""

    steps: int = Field(default=17, gt=0)
    """Batches of rollouts."""

    prompts: int = Field(default=16, gt=0)
    """Questions per batch."""

    generations: int = Field(default=8, gt=1)
    """Rollouts per question."""

    refill: int = Field(default=0, ge=0)
    """Rounds in which groups whose rewards are all equal are replaced."""

    minibatches: int = Field(default=4, gt=0)
    """Optimiser steps per batch of rollouts."""

    temperature: float = Field(default=0.7, gt=0)
    """Of sampling in training."""

    beta: float = Field(default=0.0, ge=0)
    """Weight of the KL divergence from the SFT model."""

    save_every: int = Field(default=5, gt=0)
    """Batches of rollouts between two checkpoints."""


class DemoConfig(Config):
    """What the demo does. The defaults are what ``make demo`` runs."""

    seed: int = 0
    """Of everything: universes, questions, mistakes, training."""

    processes: int = Field(default=2, gt=0)
    """Processes that train together and share the evaluations, of one thread each. What is learnt depends on their
    number (minibatches and sums do), so it is not that of the cores."""

    full: bool = False
    """Also run the controls (further SFT, shuffled rewards, a corrupted simulator), on three seeds."""

    entities: int = Field(default=2100, ge=200)
    """Size of each universe."""

    trace_questions: int = Field(default=1000, gt=0)
    """Training questions of which the teacher makes traces."""

    trace_kinds: tuple[Kind, ...] = tuple(Kind)
    """Kinds of question that traces cover; GRPO and the test cover all."""

    trace_hops: tuple[int, ...] = (2, 3, 4)
    """Numbers of look-ups that traces cover, by share; the test has all alike."""

    train_questions: int = Field(default=272, gt=0)
    """Training questions for GRPO, asked again when there are fewer than ``grpo.steps`` × ``grpo.prompts``."""

    train_hops: tuple[int, ...] = (2, 3, 4, 4)
    """Their numbers of look-ups, by share."""

    test_questions: int = Field(default=300, gt=0)
    """Questions about the unseen universe."""

    test_temperature: float = Field(default=0.0, ge=0)
    """Of sampling in every evaluation; 0 takes the most probable token."""

    mistakes: Mistakes = Mistakes(
        wrong_tool=0.02, malformed=0.04, misspelt=0.02, premature=0.01, wrong_answer=0.02,
        broken_result=0.02, wrong_fact=0.01,
    )  # fmt: skip
    """How often the scripted teacher errs in synthesis, so that the audit has work to do."""

    parallel: float = Field(default=0.3, ge=0, le=1)
    """Of the questions about two things, the share whose look-ups the teacher makes at once, two a turn."""

    synthesis: SynthesisSettings = SynthesisSettings()
    """Limits and audit of synthesis (its seed is the demo's)."""

    limits: Limits = Limits(max_turns=4, max_tokens=400)
    """Of rollouts in training and evaluation: four look-ups that build on each other, and no more. With something to
    work out behind them, two of four have to be made at once."""

    sft: SftShape = SftShape()
    """Stage 1."""

    grpo: GrpoShape = GrpoShape()
    """Stage 2."""

    @model_validator(mode="after")
    def _shares_are_whole(self) -> DemoConfig:
        if self.sft.batch_size % self.processes:
            raise ValueError(f"sft.batch_size: {self.sft.batch_size} traces can't be shared by {self.processes}")
        rollouts, parts = self.grpo.prompts * self.grpo.generations, self.grpo.minibatches * self.processes
        if rollouts % parts:
            raise ValueError(f"grpo: {rollouts} rollouts can't be dealt out to minibatches × processes = {parts}")
        return self


class Ledger:
    """Which stages are done, and the seconds each took, in ``stages.json``.

    ``total`` counts the time of this and earlier starts up to the last finished stage of each, their own start and
    what lies between stages included.
    """

    def __init__(self, path: Path, started: float) -> None:
        self.seconds = _read_seconds(path)
        self._path, self._started, self._earlier = path, started, self.seconds.get(TOTAL, 0.0)

    def is_done(self, name: str) -> bool:
        """Whether a stage is done."""
        return name in self.seconds

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, and mark it as done at its end."""
        started = time.monotonic()
        yield
        self.mark(name, time.monotonic() - started)

    def mark(self, name: str, seconds: float) -> None:
        """Mark a stage as done, in so many seconds. Stages that ran side by side took less than their sum."""
        total = self._earlier + time.monotonic() - self._started
        self.seconds |= {name: round(seconds, 3), TOTAL: round(total, 3)}
        write_json(self._path, self.seconds)


def _read_seconds(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    try:
        return TypeAdapter(dict[str, float]).validate_python(read_json(path))
    except ValidationError:
        raise InputError(f"{path}: damaged; delete it to do the stages again from what they left") from None


def command(
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes.")] = Path("runs/demo"),
    seed: Annotated[int | None, typer.Option(help="Seed of the whole run.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file, or a run's config.json; flags win over it.")] = None,
    full: Annotated[bool, typer.Option("--full", help="With all controls, on three seeds.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run of the same folder.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting as key=value.")] = None,
) -> None:
    """Run the whole method in the embedded lab, and write report.json and report.html."""
    started = time.monotonic()
    seeds = [] if seed is None else [f"seed={seed}"]
    settings = load_config(DemoConfig, config, [*seeds, *(["full=true"] if full else ()), *(set_ or ())])
    with lock(out):
        others = []
        for more in range(1, SEEDS) if settings.full else ():
            other = settings.model_copy(update={"seed": settings.seed + more})
            found = run_seed(other, out / f"seed-{other.seed}", resume, started)
            others.append(SeedRun(**{name: getattr(found, name) for name in SeedRun.model_fields}))
            started = time.monotonic()
        report = run_seed(settings, out, resume, started, tuple(others))
    show(report)
    typer.echo(f"report: {out / HTML}")


def run_seed(settings: DemoConfig, out: Path, resume: bool, started: float, others: tuple[SeedRun, ...] = ()) -> Report:
    """Run the demo on one seed, or read the report of what is done.

    Args:
        settings: of the run.
        out: its folder.
        resume: go on with an earlier run of the same folder.
        started: when its work began (``time.monotonic``).
        others: outcomes on other seeds, for the report.

    Raises:
        InputError: the folder holds another run, or the disk refuses.
    """
    claim_config(out / CONFIG, settings.model_dump(mode="json"), resume, [out / STAGES], ())
    ledger = Ledger(out / STAGES, started)
    report = read_report(out) if ledger.is_done(REPORT) else None
    if report is None:
        with needs_extra("train"):
            from understudy.cli.stages import run_demo
        report = run_demo(settings, out, ledger, Reporter(), others)
    return report


def show(report: Report) -> None:
    """Print Exact Match by stage, with simulated and with live tools."""
    table = Table("", "simulated tools", "live tools", title="Exact Match, with its 95 % interval")
    simulated, live = report.em, report.em_live
    for name, one, other in (
        ("base", simulated.base, live.base),
        ("SFT", simulated.sft, live.sft),
        ("GRPO", simulated.grpo, live.grpo),
        ("GRPO, no tools", simulated.no_tools, None),
        ("no-op", simulated.noop, None),
    ):
        table.add_row(name, _figures(one), _figures(other) if other else "")
    Console().print(table)


def _figures(metric: Metric) -> str:
    low, high = metric.ci95
    return f"{metric.value:.3f}  ({low:.3f} to {high:.3f})"
