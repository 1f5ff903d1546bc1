"""The stages of the demo: synthesis, SFT, GRPO, their controls, report. Each is the code that real runs use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import torch

from understudy.cli.demo import REPORT, DemoConfig, Ledger
from understudy.cli.exam import MAX_TURN_TOKENS, TEMPLATE, Exam, prepared
from understudy.cli.progress import Reporter, shown
from understudy.evaluation.result import Result
from understudy.jsonl import read_json, read_jsonl
from understudy.lab.base.model import weights_dir
from understudy.lab.tasks import chance, make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.report.build import build_report
from understudy.report.curves import read_curve
from understudy.report.model import Report, SeedRun, Simulation, TraceCounts
from understudy.report.model import Stage as Trained
from understudy.report.page import write_report
from understudy.reward.composite import score
from understudy.seed import derive_seed
from understudy.synthesis import pipeline
from understudy.synthesis.dataset import export_dataset
from understudy.synthesis.store import SUMMARY, TOOLS, RunFolder
from understudy.synthesis.teacher import AgentTeacher
from understudy.task import Task
from understudy.training.grpo import GrpoConfig, grpo
from understudy.training.models import load_model
from understudy.training.run import METRICS, MODEL, writing
from understudy.training.sft import SftConfig, sft

SYNTH, SFT, GRPO, EVAL = "synth", "sft", "grpo", "eval"
FURTHER_SFT, SHUFFLED = "further_sft", "shuffled_rewards"
ROLLOUT_COST = 1.5
"""Compute of a sequence in GRPO, sampled and trained on, over that of one in SFT, trained on."""


def run_demo(
    config: DemoConfig, out: Path, ledger: Ledger, reporter: Reporter, seeds: tuple[SeedRun, ...] = ()
) -> Report:
    """Run what is not done yet, and write the report.

    One thread does it all: the model is so small that two mostly wait for each other, on a busy machine up to ten times
    as long as one works; and sums of floating-point numbers then don't depend on the number of cores.
    """
    torch.set_num_threads(1)
    train = Universe(config.seed, "train", config.entities)
    steps: dict[str, Callable[[], None]] = {
        "synthesis": lambda: synthesise(config, out, train, reporter),
        "sft": lambda: train_sft(config, out, reporter),
        "grpo": lambda: train_grpo(config, out / GRPO, out / SFT / MODEL, train, reporter),
    }
    if config.full:
        steps[FURTHER_SFT] = lambda: train_further(config, out, reporter)
        steps[SHUFFLED] = lambda: train_grpo(
            config, out / SHUFFLED, out / SFT / MODEL, train, reporter, shuffle_rewards=True
        )
    for name, step in steps.items():
        if not ledger.is_done(name):
            with ledger.stage(name), writing(out):
                step()
    exam = Exam(config, out / EVAL, ledger, reporter)
    simulated, live = evaluate(exam, out, config.full)
    report = describe(config, out, ledger, exam, simulated, live, seeds)
    with ledger.stage(REPORT):
        write_report(report, out)
    return report


def synthesise(config: DemoConfig, out: Path, universe: Universe, reporter: Reporter) -> None:
    """Traces by the scripted teacher, mistakes included, and the audit."""
    settings = config.synthesis.model_copy(update={"seed": config.seed})
    tasks = make_tasks(universe, config.trace_questions, config.seed, config.trace_kinds, config.trace_hops)
    who = AgentTeacher.on(ScriptedModel(config.seed, config.mistakes))
    with RunFolder(out / SYNTH) as folder, reporter.stage("synthesis", len(tasks)) as stage:
        folder.start(settings.model_dump(mode="json"), resume=True)

        def show(progress: pipeline.Progress) -> None:
            stage(progress.done, kept=progress.kept, rejected=progress.rejected)

        asyncio.run(pipeline.synthesise(tasks, who, folder, settings, show))
        export_dataset(folder)


def train_sft(config: DemoConfig, out: Path, reporter: Reporter) -> None:
    """Fine-tune the base on the kept traces."""
    settings = SftConfig(model=str(weights_dir()), **_sft_settings(config, out))
    with reporter.stage("sft") as stage:
        sft(settings, out / SFT, on_progress=shown(stage, loss="loss", held_out="eval_loss"), resume=True)


def train_further(config: DemoConfig, out: Path, reporter: Reporter) -> None:
    """Control: fine-tune the SFT model further on the same traces, with the compute of GRPO."""
    traces = pipeline.Summary(**read_json(out / SYNTH / SUMMARY)).kept
    sequences = ROLLOUT_COST * config.grpo.steps * config.grpo.prompts * config.grpo.generations
    given = _sft_settings(config, out) | {"epochs": sequences / traces}
    with reporter.stage("further sft") as stage:
        sft(
            SftConfig(model=str(out / SFT / MODEL), **given),
            out / FURTHER_SFT,
            on_progress=shown(stage, loss="loss", held_out="eval_loss"),
            resume=True,
        )


def _sft_settings(config: DemoConfig, out: Path) -> dict[str, object]:
    return {
        "template": TEMPLATE,
        "traces": str(out / SYNTH),
        "seed": config.seed,
        "optimizer": "muon",
        "schedule": "cosine",
        "trainer": {"torch_compile": False},
        **config.sft.model_dump(),
    }


def grpo_tasks(config: DemoConfig, universe: Universe) -> list[Task]:
    """The questions that GRPO trains on."""
    return make_tasks(universe, config.train_questions, derive_seed(config.seed, "grpo"), hops=config.train_hops)


def grpo_settings(config: DemoConfig, model: Path, shuffle_rewards: bool = False) -> GrpoConfig:
    """The settings of GRPO, starting from a model."""
    return GrpoConfig(
        model=str(model),
        template=TEMPLATE,
        seed=config.seed,
        limits=config.limits,
        max_turn_tokens=MAX_TURN_TOKENS,
        shuffle_rewards=shuffle_rewards,
        **config.grpo.model_dump(),
    )


def train_grpo(
    config: DemoConfig, out: Path, model: Path, universe: Universe, reporter: Reporter, shuffle_rewards: bool = False
) -> None:
    """Reward the fine-tuned model's own rollouts on questions of all kinds."""
    who = AgentTeacher.on(ScriptedModel(config.seed))
    asked = prepared(grpo_tasks(config, universe), who, config.seed)
    settings = grpo_settings(config, model, shuffle_rewards)
    with reporter.stage(out.name.replace("_", " ")) as stage:
        grpo(settings, out, asked, who.tools, on_progress=shown(stage, reward="reward", em="em"), resume=True)


def evaluate(exam: Exam, out: Path, full: bool) -> tuple[dict[str, Result], dict[str, Result]]:
    """Every stage on the unseen universe, simulated and live, and the controls."""
    models = {"base": weights_dir(), "sft": out / SFT / MODEL, "grpo": out / GRPO / MODEL}
    simulated, live = {}, {}
    for name, folder in models.items():
        simulated[name] = exam.simulated(name, folder)
        live[name] = exam.live(name, folder)
    simulated["no_tools"] = exam.without_tools(models["grpo"])
    simulated["noop"] = exam.noop()
    if full:
        for name in (FURTHER_SFT, SHUFFLED):
            simulated[name] = exam.simulated(name, out / name / MODEL)
        simulated["corrupted"] = exam.corrupted(models["grpo"])
    return simulated, live


def describe(
    config: DemoConfig,
    out: Path,
    ledger: Ledger,
    exam: Exam,
    simulated: dict[str, Result],
    live: dict[str, Result],
    seeds: tuple[SeedRun, ...],
) -> Report:
    """The report of a run."""
    size = load_model(str(out / GRPO / MODEL))[0].num_parameters()
    counts = pipeline.Summary(**read_json(out / SYNTH / SUMMARY))
    return build_report(
        seed=config.seed,
        seconds=ledger.seconds,
        tasks=exam.tasks,
        traces=TraceCounts(synthesised=counts.tasks, kept=counts.kept, rejected=counts.reasons),
        simulated=simulated,
        live=live,
        reward=lambda trace, task: score(trace, task, exam.asked.worlds[task.id]),
        guess=chance,
        curves=(
            read_curve(out / SFT / METRICS, Trained.SFT, "loss", {"training": "loss", "held out": "eval_loss"}),
            read_curve(out / GRPO / METRICS, Trained.GRPO, "reward", {"reward": "reward"}),
            read_curve(out / GRPO / METRICS, Trained.GRPO, "exact match", {"training": "em"}, share=True),
        ),
        model=f"A Qwen3-config model of {size / 1e6:.1f} M parameters",
        simulation=Simulation(
            questions=counts.tasks,
            contracts=sum(1 for _ in read_jsonl(out / SYNTH / TOOLS)),
            teacher=exam.teacher.name,
            simulator=exam.teacher.tools.name,
            facts="evidence",
        ),
        seeds=seeds,
    )
