"""The stages of the demo: synthesis, SFT, GRPO, evaluation, report. Each is the code that real runs use."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from understudy.cli.demo import DemoConfig, Ledger
from understudy.cli.progress import Reporter, Stage
from understudy.contract import ToolContract
from understudy.evaluation import runner
from understudy.evaluation.controls import NoOp, NoTools, without_tools
from understudy.evaluation.result import Result
from understudy.jsonl import read_json, read_jsonl
from understudy.lab.base.model import weights_dir
from understudy.lab.live import LiveTools
from understudy.lab.tasks import chance, make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.protocols import Policy, Teacher, ToolSource
from understudy.report.build import build_report
from understudy.report.curves import read_curve
from understudy.report.model import Report, Simulation, TraceCounts
from understudy.report.model import Stage as Trained
from understudy.report.page import write_report
from understudy.reward.composite import score
from understudy.seed import derive_seed
from understudy.synthesis import pipeline
from understudy.synthesis.dataset import export_dataset
from understudy.synthesis.store import SUMMARY, TOOLS, RunFolder
from understudy.synthesis.teacher import AgentTeacher
from understudy.task import Task
from understudy.tools.toolbox import Toolbox
from understudy.training.grpo import GrpoConfig, grpo
from understudy.training.models import load_model, make_renderer
from understudy.training.policy import ModelPolicy, engine_for
from understudy.training.progress import Progress
from understudy.training.rollouts import TaskSet
from understudy.training.run import METRICS, MODEL
from understudy.training.sft import SftConfig, sft
from understudy.world import World

TEMPLATE = "lab"
MAX_TURN_TOKENS = 96
EVALUATION_ROWS = 128


def prepared(tasks: Sequence[Task], who: Teacher, seed: int) -> TaskSet:
    """Tasks with the toolset and the world that the teacher's agents make for each; equal seeds make them equal."""

    async def prepare_all() -> list[tuple[tuple[ToolContract, ...], World]]:
        return [await who.prepare(task, derive_seed(seed, task.id)) for task in tasks]

    made = dict(zip((task.id for task in tasks), asyncio.run(prepare_all()), strict=True))
    return TaskSet.of(
        tasks, {key: toolset for key, (toolset, _) in made.items()}, {key: world for key, (_, world) in made.items()}
    )


def run_demo(config: DemoConfig, out: Path, ledger: Ledger, reporter: Reporter) -> Report:
    """Run what is not done yet, and write the report."""
    train = Universe(config.seed, "train", config.entities)
    synthesise(config, out / "synth", train, ledger, reporter)
    model = out / "sft" / MODEL
    if "sft" not in ledger.seconds:
        with ledger.stage("sft"):
            train_sft(config, out, reporter)
    if "grpo" not in ledger.seconds:
        with ledger.stage("grpo"):
            train_grpo(config, out, model, train, reporter)
    return evaluate(config, out, ledger, reporter)


def synthesise(config: DemoConfig, out: Path, universe: Universe, ledger: Ledger, reporter: Reporter) -> None:
    """Traces by the scripted teacher, mistakes included, and the audit."""
    if "synthesis" in ledger.seconds:
        return
    settings = config.synthesis.model_copy(update={"seed": config.seed})
    tasks = make_tasks(universe, config.trace_questions, config.seed, config.trace_kinds, config.trace_hops)
    who = AgentTeacher.on(ScriptedModel(config.seed, config.mistakes))
    with ledger.stage("synthesis"), RunFolder(out) as folder, reporter.stage("synthesis", len(tasks)) as stage:
        folder.start(settings.model_dump(mode="json"), resume=True)

        def show(progress: pipeline.Progress) -> None:
            stage(progress.done, kept=progress.kept, rejected=progress.rejected)

        asyncio.run(pipeline.synthesise(tasks, who, folder, settings, show))
        export_dataset(folder)


def train_sft(config: DemoConfig, out: Path, reporter: Reporter) -> None:
    """Fine-tune the base on the kept traces."""
    settings = SftConfig(
        model=str(weights_dir()),
        template=TEMPLATE,
        traces=str(out / "synth"),
        seed=config.seed,
        optimizer="muon",
        schedule="cosine",
        save_every=25,
        trainer={"torch_compile": False},
        **config.sft.model_dump(),
    )
    with reporter.stage("sft", 1) as stage:
        sft(settings, out / "sft", on_progress=lambda at: _show(stage, at, "loss", "eval_loss"), resume=True)


def train_grpo(config: DemoConfig, out: Path, model: Path, universe: Universe, reporter: Reporter) -> None:
    """Reward the fine-tuned model's own rollouts on questions of all kinds."""
    count = config.train_questions + config.validation_questions
    tasks = make_tasks(universe, count, derive_seed(config.seed, "grpo"))
    who = AgentTeacher.on(ScriptedModel(config.seed))
    asked = prepared(tasks[: config.train_questions], who, config.seed)
    held = prepared(tasks[config.train_questions :], who, config.seed)
    settings = GrpoConfig(
        model=str(model),
        seed=config.seed,
        optimizer="muon",
        limits=config.limits,
        max_turn_tokens=MAX_TURN_TOKENS,
        validate_every=5,
        save_every=5,
        **config.grpo.model_dump(),
    )
    with reporter.stage("grpo", 1) as stage:
        grpo(
            settings,
            out / "grpo",
            asked,
            who.tools,
            held,
            on_progress=lambda at: _show(stage, at, "reward", "em"),
            resume=True,
        )


def evaluate(config: DemoConfig, out: Path, ledger: Ledger, reporter: Reporter) -> Report:
    """Score every stage on the unseen universe, simulated and live, with controls; then write the report."""
    universe = Universe(config.seed, "test", config.entities)
    tasks = make_tasks(universe, config.test_questions, derive_seed(config.seed, "test"))
    who = AgentTeacher.on(ScriptedModel(config.seed))
    asked = prepared(tasks, who, config.seed)
    live = LiveTools(universe)
    offered = {task.id: live.toolset(task, config.seed) for task in tasks}
    models = {"base": weights_dir(), "sft": out / "sft" / MODEL, "grpo": out / "grpo" / MODEL}

    def run(name: str, policy: Policy, toolsets: Mapping[str, Sequence[ToolContract]], tools: ToolSource) -> Result:
        simulated = tools is who.tools
        with ledger.stage(f"eval_{name}"), reporter.stage(f"eval {name}", len(tasks)) as stage:
            return asyncio.run(
                runner.evaluate(
                    tasks, toolsets, asked.worlds if simulated else None, policy, tools, config.limits, config.seed,
                    concurrency=EVALUATION_ROWS, records=out / "eval" / f"{name}.jsonl", resume=True,
                    on_progress=lambda at: stage(at.done, em=at.correct / at.done),
                )
            )  # fmt: skip

    simulated, lived = {}, {}
    for name, folder in models.items():
        policy = greedy(folder, name)
        simulated[name] = run(name, policy, asked.toolsets, who.tools)
        lived[name] = run(f"{name}_live", policy, offered, Toolbox(live))
    simulated["no_tools"] = run("no_tools", greedy(models["grpo"], "grpo"), without_tools(tasks), NoTools())
    simulated["noop"] = run("noop", NoOp(), asked.toolsets, who.tools)
    seconds = {**ledger.seconds, "total": round(sum(ledger.seconds.values()), 3)}
    counts = pipeline.Summary(**read_json(out / "synth" / SUMMARY))
    report = build_report(
        seed=config.seed,
        seconds=seconds,
        tasks=tasks,
        traces=TraceCounts(synthesised=counts.tasks, kept=counts.kept, rejected=counts.reasons),
        simulated=simulated,
        live=lived,
        reward=lambda trace, task: score(trace, task, asked.worlds[task.id]),
        guess=chance,
        curves=(
            read_curve(out / "sft" / METRICS, Trained.SFT, "SFT loss", {"training": "loss", "held out": "eval_loss"}),
            read_curve(out / "grpo" / METRICS, Trained.GRPO, "GRPO reward", {"reward": "reward"}),
            read_curve(out / "grpo" / METRICS, Trained.GRPO, "GRPO exact match", {"training": "em"}, share=True),
        ),
        model="A Qwen3-config model of 1 M parameters",
        simulation=Simulation(
            questions=counts.tasks,
            contracts=sum(1 for _ in read_jsonl(out / "synth" / TOOLS)),
            teacher=who.name,
            simulator=who.tools.name,
            facts="evidence",
        ),
    )
    write_report(report, out)
    return report


def greedy(folder: Path, name: str) -> ModelPolicy:
    """A model's greedy policy, named after its weights."""
    model, tokenizer = load_model(str(folder))
    renderer = make_renderer(tokenizer, TEMPLATE)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]
    engine = engine_for(model, renderer.end_id, "auto", EVALUATION_ROWS)
    return ModelPolicy(engine, renderer, 0.0, MAX_TURN_TOKENS, f"{name}:{digest}")


def _show(stage: Stage, at: Progress, *keys: str) -> None:
    stage(at.step, total=at.total, **{key: at.values[key] for key in keys if key in at.values})
