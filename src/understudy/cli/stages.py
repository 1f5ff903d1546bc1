"""The stages of the demo: synthesis, SFT, GRPO, evaluation, report. Each is the code that real runs use."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from understudy.cli.demo import REPORT, DemoConfig, Ledger
from understudy.cli.progress import Reporter, Stage
from understudy.contract import ToolContract
from understudy.evaluation import runner
from understudy.evaluation.controls import NoOp, NoTools, without_tools
from understudy.evaluation.result import Result
from understudy.jsonl import disk_error, read_json, read_jsonl
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
SYNTH, SFT, GRPO, EVAL = "synth", "sft", "grpo", "eval"
MAX_TURN_TOKENS = 96
EVALUATION_ROWS = 128
_UNWRITTEN = re.compile("os error|inline_container|PytorchStreamWriter")


def prepared(tasks: Sequence[Task], who: Teacher, seed: int) -> TaskSet:
    """Tasks with the toolset and the world that the teacher's agents make for each; equal seeds make them equal."""

    async def prepare_all() -> list[tuple[tuple[ToolContract, ...], World]]:
        return [await who.prepare(task, derive_seed(seed, task.id)) for task in tasks]

    made = dict(zip((task.id for task in tasks), asyncio.run(prepare_all()), strict=True))
    return TaskSet.of(
        tasks, {key: toolset for key, (toolset, _) in made.items()}, {key: world for key, (_, world) in made.items()}
    )


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Around training, whose libraries have errors of their own for a disk that refuses.

    Raises:
        InputError: the disk refuses a checkpoint or a model.
    """
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        if not _UNWRITTEN.search(str(error)):
            raise
        raise disk_error(out, OSError(f"a checkpoint is not complete: {str(error).splitlines()[0]}")) from None


def run_demo(config: DemoConfig, out: Path, ledger: Ledger, reporter: Reporter) -> Report:
    """Run what is not done yet, and write the report.

    One thread does it all: the model is so small that two mostly wait for each other, on a busy machine up to ten times
    as long as one works; and sums of floating-point numbers then don't depend on the number of cores.
    """
    torch.set_num_threads(1)
    train = Universe(config.seed, "train", config.entities)
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("synthesis", lambda: synthesise(config, out, train, reporter)),
        ("sft", lambda: train_sft(config, out, reporter)),
        ("grpo", lambda: train_grpo(config, out, train, reporter)),
    )
    for name, step in steps:
        if not ledger.is_done(name):
            with ledger.stage(name), writing(out):
                step()
    report = evaluate(config, out, ledger, reporter)
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
    settings = SftConfig(
        model=str(weights_dir()),
        template=TEMPLATE,
        traces=str(out / SYNTH),
        seed=config.seed,
        optimizer="muon",
        schedule="cosine",
        trainer={"torch_compile": False},
        **config.sft.model_dump(),
    )
    with reporter.stage("sft") as stage:
        sft(settings, out / SFT, on_progress=_shown(stage, loss="loss", held_out="eval_loss"), resume=True)


def train_grpo(config: DemoConfig, out: Path, universe: Universe, reporter: Reporter) -> None:
    """Reward the fine-tuned model's own rollouts on questions of all kinds."""
    count = config.train_questions + config.validation_questions
    tasks = make_tasks(universe, count, derive_seed(config.seed, "grpo"))
    who = AgentTeacher.on(ScriptedModel(config.seed))
    asked = prepared(tasks[: config.train_questions], who, config.seed)
    held = prepared(tasks[config.train_questions :], who, config.seed)
    settings = GrpoConfig(
        model=str(out / SFT / MODEL),
        seed=config.seed,
        optimizer="muon",
        limits=config.limits,
        max_turn_tokens=MAX_TURN_TOKENS,
        save_every=config.grpo.validate_every,
        **config.grpo.model_dump(),
    )
    with reporter.stage("grpo") as stage:
        show = _shown(stage, reward="reward", em="em", validation="validation/em")
        grpo(settings, out / GRPO, asked, who.tools, held, on_progress=show, resume=True)


def evaluate(config: DemoConfig, out: Path, ledger: Ledger, reporter: Reporter) -> Report:
    """Score every stage on the unseen universe, simulated and live, with controls; what is done is read."""
    universe = Universe(config.seed, "test", config.entities)
    tasks = make_tasks(universe, config.test_questions, derive_seed(config.seed, "test"))
    who = AgentTeacher.on(ScriptedModel(config.seed))
    asked = prepared(tasks, who, config.seed)
    live = LiveTools(universe)
    offered = {task.id: live.toolset(task, config.seed) for task in tasks}
    models = {"base": weights_dir(), "sft": out / SFT / MODEL, "grpo": out / GRPO / MODEL}

    def run(name: str, policy: Policy, toolsets: Mapping[str, Sequence[ToolContract]], tools: ToolSource) -> Result:
        records, worlds = out / EVAL / f"{name}.jsonl", asked.worlds if tools is who.tools else None

        def measure(on_progress: Callable[[runner.Progress], None] | None = None) -> Result:
            return asyncio.run(
                runner.evaluate(
                    tasks, toolsets, worlds, policy, tools, config.limits, config.seed, concurrency=EVALUATION_ROWS,
                    records=records, resume=True, on_progress=on_progress,
                )
            )  # fmt: skip

        if ledger.is_done(f"eval_{name}"):
            return measure()
        # Sums are rounded as the rows of a batch fall, so half an evaluation is not gone on with but done again.
        records.unlink(missing_ok=True)
        with ledger.stage(f"eval_{name}"), reporter.stage(f"eval {name.replace('_', ' ')}", len(tasks)) as stage:
            return measure(lambda at: stage(at.done, em=at.correct / at.done))

    simulated, lived = {}, {}
    for name, folder in models.items():
        policy = greedy(folder, name)
        simulated[name] = run(name, policy, asked.toolsets, who.tools)
        lived[name] = run(f"{name}_live", policy, offered, Toolbox(live))
    simulated["no_tools"] = run("no_tools", greedy(models["grpo"], "grpo"), without_tools(tasks), NoTools())
    simulated["noop"] = run("noop", NoOp(), asked.toolsets, who.tools)
    size = load_model(str(models["grpo"]))[0].num_parameters()
    counts = pipeline.Summary(**read_json(out / SYNTH / SUMMARY))
    return build_report(
        seed=config.seed,
        seconds=ledger.seconds,
        tasks=tasks,
        traces=TraceCounts(synthesised=counts.tasks, kept=counts.kept, rejected=counts.reasons),
        simulated=simulated,
        live=lived,
        reward=lambda trace, task: score(trace, task, asked.worlds[task.id]),
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
            teacher=who.name,
            simulator=who.tools.name,
            facts="evidence",
        ),
    )


def greedy(folder: Path, name: str) -> ModelPolicy:
    """A model's greedy policy, named after its weights."""
    model, tokenizer = load_model(str(folder))
    renderer = make_renderer(tokenizer, TEMPLATE)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]
    engine = engine_for(model, renderer.end_id, "auto", EVALUATION_ROWS)
    return ModelPolicy(engine, renderer, 0.0, MAX_TURN_TOKENS, f"{name}:{digest}")


def _shown(stage: Stage, **keys: str) -> Callable[[Progress], None]:
    """Shows training in a stage: name of a figure → the metric behind it."""

    def show(at: Progress) -> None:
        stage(at.step, at.total, **{name: at.values[key] for name, key in keys.items() if key in at.values})

    return show
