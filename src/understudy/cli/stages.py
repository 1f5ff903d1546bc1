"""The stages of the demo: synthesis, SFT, GRPO, their controls, report. Each is the code that real runs use."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

from understudy.cli.demo import REPORT, DemoConfig, Ledger
from understudy.cli.exam import MAX_TURN_TOKENS, TEMPLATE, Exam, Sitting, examine, prepared
from understudy.cli.progress import Reporter, shown
from understudy.evaluation.result import Result
from understudy.jsonl import read_json, read_jsonl
from understudy.lab.base.model import weights_dir
from understudy.lab.retelling import tellings
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
from understudy.trace import Trace
from understudy.training.checkpoints import writing
from understudy.training.grpo import GrpoConfig, grpo
from understudy.training.models import load_model
from understudy.training.processes import prepare, train_together
from understudy.training.progress import OnProgress
from understudy.training.run import METRICS, MODEL
from understudy.training.settings import WatchSettings
from understudy.training.sft import SftConfig, read_traces, sft, split

SYNTH, SFT, GRPO, EVAL = "synth", "sft", "grpo", "eval"
FURTHER_SFT, SHUFFLED = "further_sft", "shuffled_rewards"
ROLLOUT_COST = 8 / 6
"""Compute of a sequence in GRPO, sampled and trained on, over that of one in SFT, trained on.

Per weight and token, 2 FLOPs forward, which sampling takes as well, and 4 backward (Kaplan et al. 2020, arXiv
2001.08361, section 2.1). Rows without an advantage, which GRPO leaves out, count as if they were trained on."""


def run_demo(
    config: DemoConfig, out: Path, ledger: Ledger, reporter: Reporter, seeds: tuple[SeedRun, ...] = ()
) -> Report:
    """Run what is not done yet, and write the report.

    As many processes as the settings say share the work, whatever cores there are: what is learnt depends on them.
    """
    prepare(__name__)
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
            with ledger.stage(name):
                step()
    simulated, live = evaluate(config, out, ledger, reporter)
    report = describe(config, out, ledger, simulated, live, seeds)
    with ledger.stage(REPORT):
        write_report(report, out)
    return report


def synthesise(config: DemoConfig, out: Path, universe: Universe, reporter: Reporter) -> None:
    """Traces by the scripted teacher, mistakes included, and the audit."""
    settings = config.synthesis.model_copy(update={"seed": config.seed})
    tasks = make_tasks(universe, config.trace_questions, config.seed, config.trace_kinds, config.trace_hops)
    who = AgentTeacher.on(ScriptedModel(config.seed, config.mistakes, config.parallel))
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
        show = shown(stage, loss="loss", held_out="eval_loss")
        train_together(config.processes, _sft, settings, out / SFT, hear=show)


def _sft(tell: OnProgress, settings: SftConfig, out: Path) -> None:
    """One pass over all tellings, shuffled together."""
    times = math.ceil(settings.epochs)
    once = settings.model_copy(update={"epochs": settings.epochs / times})
    told, held_out = told_traces(settings, times, out.name)
    with writing(out.parent):
        sft(once, out, told, held_out, tell, resume=True)


def told_traces(settings: SftConfig, times: int, stage: str) -> tuple[list[Trace], list[Trace]]:
    """Traces to train on, each as it is and then with other names, so many times in all; held-out ones as they are."""
    traces, held_out = split(read_traces(settings.traces), settings)
    return tellings(traces, times, derive_seed(settings.seed, stage)), held_out


def train_further(config: DemoConfig, out: Path, reporter: Reporter) -> None:
    """Control: fine-tune the SFT model further on the same traces, told anew, with the compute of GRPO."""
    sequences = ROLLOUT_COST * config.grpo.steps * config.grpo.prompts * config.grpo.generations
    settings = SftConfig(model=str(out / SFT / MODEL), **_sft_settings(config, out))
    traces, _ = split(read_traces(settings.traces), settings)
    settings = settings.model_copy(update={"epochs": sequences / len(traces)})
    with reporter.stage("further sft") as stage:
        show = shown(stage, loss="loss", held_out="eval_loss")
        train_together(config.processes, _sft, settings, out / FURTHER_SFT, hear=show)


def _sft_settings(config: DemoConfig, out: Path) -> dict[str, object]:
    return {
        "template": TEMPLATE,
        "traces": str(out / SYNTH),
        "seed": config.seed,
        "optimizer": "muon",
        "schedule": "cosine",
        **config.sft.model_dump(),
        "batch_size": config.sft.batch_size // config.processes,
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
        watch=WatchSettings(patience=0),  # a control that ends early would not be one
        **config.grpo.model_dump(),
    )


def train_grpo(
    config: DemoConfig, out: Path, model: Path, universe: Universe, reporter: Reporter, shuffle_rewards: bool = False
) -> None:
    """Reward the fine-tuned model's own rollouts on questions of all kinds."""
    settings = grpo_settings(config, model, shuffle_rewards)
    with reporter.stage(out.name.replace("_", " ")) as stage:
        train_together(
            config.processes, _grpo, config, settings, out, universe, hear=shown(stage, reward="reward", em="em")
        )


def _grpo(tell: OnProgress, config: DemoConfig, settings: GrpoConfig, out: Path, universe: Universe) -> None:
    who = AgentTeacher.on(ScriptedModel(config.seed))
    asked = prepared(grpo_tasks(config, universe), who, config.seed)
    with writing(out.parent):
        grpo(settings, out, asked, who.tools, on_progress=tell, resume=True)


def evaluate(
    config: DemoConfig, out: Path, ledger: Ledger, reporter: Reporter
) -> tuple[dict[str, Result], dict[str, Result]]:
    """Every stage on the unseen universe, simulated and live, and the controls."""
    models = {"base": weights_dir(), SFT: out / SFT / MODEL, GRPO: out / GRPO / MODEL}
    # The longest first, so that no process is left with one at the end.
    sittings = [
        *(Sitting(name, models[name]) for name in reversed(models)),
        *(Sitting(f"{name}_live", models[name], "live") for name in reversed(models)),
        Sitting("no_tools", models[GRPO], "none"),
        Sitting("noop", None),
    ]
    if config.full:
        sittings = [
            *(Sitting(name, out / name / MODEL) for name in (FURTHER_SFT, SHUFFLED)),
            Sitting("corrupted", models[GRPO], "corrupted"),
            *sittings,
        ]
    results = examine(config, out / EVAL, sittings, ledger, reporter)
    live = {name: results.pop(f"{name}_live") for name in models}
    return results, live


def describe(
    config: DemoConfig,
    out: Path,
    ledger: Ledger,
    simulated: dict[str, Result],
    live: dict[str, Result],
    seeds: tuple[SeedRun, ...],
) -> Report:
    """The report of a run."""
    exam = Exam(config)
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
            tellings=config.sft.epochs,
        ),
        seeds=seeds,
    )
