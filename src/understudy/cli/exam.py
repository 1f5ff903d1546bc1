"""What the demo measures: every stage on an unseen universe, simulated and live, with controls."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.cli.demo import DemoConfig, Ledger
from understudy.cli.progress import Reporter
from understudy.contract import ToolContract
from understudy.evaluation import runner
from understudy.evaluation.controls import NoOp, NoTools, without_tools
from understudy.evaluation.result import Result
from understudy.lab.live import LiveTools
from understudy.lab.mistakes import corrupted
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.protocols import Policy, Teacher, ToolSource
from understudy.seed import derive_seed
from understudy.synthesis.teacher import AgentTeacher
from understudy.task import Task
from understudy.tools.toolbox import Toolbox
from understudy.training.models import load_model, make_renderer
from understudy.training.policy import ModelPolicy, engine_for
from understudy.training.processes import deal
from understudy.training.rollouts import TaskSet
from understudy.world import World

TEMPLATE = "lab"
MAX_TURN_TOKENS = 128
ROWS = 128
"""Rollouts at once."""
CORRUPT = 0.2
"""Share of wrong facts in the corrupted simulator of a full demo."""


def prepared(tasks: Sequence[Task], who: Teacher, seed: int) -> TaskSet:
    """Tasks with the toolset and the world that the teacher's agents make for each; equal seeds make them equal."""

    async def prepare_all() -> list[tuple[tuple[ToolContract, ...], World]]:
        return [await who.prepare(task, derive_seed(seed, task.id)) for task in tasks]

    made = dict(zip((task.id for task in tasks), asyncio.run(prepare_all()), strict=True))
    return TaskSet.of(
        tasks, {key: toolset for key, (toolset, _) in made.items()}, {key: world for key, (_, world) in made.items()}
    )


@dataclass(frozen=True)
class Sitting:
    """One evaluation: a model (None for the policy that does nothing) with one kind of tools."""

    name: str
    folder: Path | None
    tools: Literal["simulated", "live", "none", "corrupted"] = "simulated"

    @property
    def stage(self) -> str:
        """Its name in the ledger."""
        return f"eval_{self.name}"


def examine(
    config: DemoConfig, out: Path, sittings: Sequence[Sitting], ledger: Ledger, reporter: Reporter
) -> dict[str, Result]:
    """Evaluate, each sitting in one of the demo's processes; what is done is read, not done again.

    Returns:
        Results by the sittings' names.
    """
    results: dict[str, Result] = {}
    jobs = [(sitting, ledger.is_done(sitting.stage)) for sitting in sittings]
    with reporter.stage("evaluation", len(sittings)) as stage:

        def hear(said: tuple[Sitting, Result, float]) -> None:
            sitting, results[sitting.name], seconds = said
            if not ledger.is_done(sitting.stage):
                ledger.mark(sitting.stage, seconds)
            stage(len(results), None, **{sitting.name: results[sitting.name].em.value})

        deal(config.processes, _sit_exams, config, out, jobs=jobs, hear=hear)
    return results


def _sit_exams(config: DemoConfig, out: Path) -> Callable[[tuple[Sitting, bool]], tuple[Sitting, Result, float]]:
    exam = Exam(config)

    def sit(job: tuple[Sitting, bool]) -> tuple[Sitting, Result, float]:
        (sitting, done), started = job, time.monotonic()
        return sitting, exam.sit(sitting, out / f"{sitting.name}.jsonl", done), time.monotonic() - started

    return sit


class Exam:
    """Questions about an unseen universe, and everything that answers them."""

    def __init__(self, config: DemoConfig) -> None:
        universe = Universe(config.seed, "test", config.entities)
        self.tasks = make_tasks(universe, config.test_questions, derive_seed(config.seed, "test"))
        self.teacher = AgentTeacher.on(ScriptedModel(config.seed))
        self.asked = prepared(self.tasks, self.teacher, config.seed)
        self._universe, self._config = universe, config

    def sit(self, sitting: Sitting, records: Path, done: bool) -> Result:
        """Evaluate, or read the records of an evaluation that is done."""
        if not done:
            # Sums are rounded as the rows of a batch fall, so half an evaluation is not gone on with but done again.
            records.unlink(missing_ok=True)
        toolsets, tools, worlds = self._tools(sitting)
        return asyncio.run(
            runner.evaluate(
                self.tasks, toolsets, worlds, self._policy(sitting), tools, self._config.limits, self._config.seed,
                concurrency=ROWS, records=records, resume=True,
            )
        )  # fmt: skip

    def _tools(
        self, sitting: Sitting
    ) -> tuple[Mapping[str, Sequence[ToolContract]], ToolSource, Mapping[str, World] | None]:
        """What is offered for each task, who answers, and what is true."""
        if sitting.tools == "none":
            return without_tools(self.tasks), NoTools(), None
        if sitting.tools == "live":
            live = LiveTools(self._universe)
            return {task.id: live.toolset(task, self._config.seed) for task in self.tasks}, Toolbox(live), None
        worlds = self.asked.worlds
        if sitting.tools == "corrupted":
            worlds = {
                key: World(key, (corrupted(fact, CORRUPT, self._config.seed) for fact in world.facts), world.facts_from)
                for key, world in worlds.items()
            }
        return self.asked.toolsets, self.teacher.tools, worlds

    def _policy(self, sitting: Sitting) -> Policy:
        """A model, named after its weights."""
        if sitting.folder is None:
            return NoOp()
        model, tokenizer = load_model(str(sitting.folder))
        renderer = make_renderer(tokenizer, TEMPLATE)
        digest = hashlib.sha256((sitting.folder / "model.safetensors").read_bytes()).hexdigest()[:12]
        engine = engine_for(model, renderer.end_id, "auto", ROWS)
        name = f"{sitting.folder.parent.name}:{digest}"
        return ModelPolicy(engine, renderer, self._config.test_temperature, MAX_TURN_TOKENS, name)
