"""What the demo measures: every stage on an unseen universe, simulated and live, with controls."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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


class Exam:
    """Questions about an unseen universe, and everything that answers them. What is done is read, not done again.

    Args:
        config: of the demo.
        out: folder of the records.
        ledger: which evaluations are done.
        reporter: shows progress.
    """

    def __init__(self, config: DemoConfig, out: Path, ledger: Ledger, reporter: Reporter) -> None:
        universe = Universe(config.seed, "test", config.entities)
        self.tasks = make_tasks(universe, config.test_questions, derive_seed(config.seed, "test"))
        self.teacher = AgentTeacher.on(ScriptedModel(config.seed))
        self.asked = prepared(self.tasks, self.teacher, config.seed)
        self._live = LiveTools(universe)
        self._offered = {task.id: self._live.toolset(task, config.seed) for task in self.tasks}
        self._config, self._out, self._ledger, self._reporter = config, out, ledger, reporter

    def simulated(self, name: str, folder: Path) -> Result:
        """A model with simulated tools."""
        return self._run(name, self._policy(folder, name), self.asked.toolsets, self.teacher.tools, self.asked.worlds)

    def live(self, name: str, folder: Path) -> Result:
        """A model with live tools, on the same questions."""
        return self._run(f"{name}_live", self._policy(folder, name), self._offered, Toolbox(self._live))

    def without_tools(self, folder: Path) -> Result:
        """A model that is offered no tool."""
        return self._run("no_tools", self._policy(folder, "grpo"), without_tools(self.tasks), NoTools())

    def noop(self) -> Result:
        """The policy that does nothing."""
        return self._run("noop", NoOp(), self.asked.toolsets, self.teacher.tools, self.asked.worlds)

    def corrupted(self, folder: Path) -> Result:
        """A model with a simulator of whose facts a share is wrong."""
        worlds = {
            key: World(key, (corrupted(fact, CORRUPT, self._config.seed) for fact in world.facts), world.facts_from)
            for key, world in self.asked.worlds.items()
        }
        return self._run("corrupted", self._policy(folder, "grpo"), self.asked.toolsets, self.teacher.tools, worlds)

    def _policy(self, folder: Path, name: str) -> ModelPolicy:
        """A model, sampled as in training and named after its weights."""
        model, tokenizer = load_model(str(folder))
        renderer = make_renderer(tokenizer, TEMPLATE)
        digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]
        engine = engine_for(model, renderer.end_id, "auto", ROWS)
        return ModelPolicy(engine, renderer, self._config.grpo.temperature, MAX_TURN_TOKENS, f"{name}:{digest}")

    def _run(
        self,
        name: str,
        policy: Policy,
        toolsets: Mapping[str, Sequence[ToolContract]],
        tools: ToolSource,
        worlds: Mapping[str, World] | None = None,
    ) -> Result:
        records = self._out / f"{name}.jsonl"

        def measure(on_progress: Callable[[runner.Progress], None] | None = None) -> Result:
            return asyncio.run(
                runner.evaluate(
                    self.tasks, toolsets, worlds, policy, tools, self._config.limits, self._config.seed,
                    concurrency=ROWS, records=records, resume=True, on_progress=on_progress,
                )
            )  # fmt: skip

        if self._ledger.is_done(f"eval_{name}"):
            return measure()
        # Sums are rounded as the rows of a batch fall, so half an evaluation is not gone on with but done again.
        records.unlink(missing_ok=True)
        label = f"eval {name.replace('_', ' ')}"
        with self._ledger.stage(f"eval_{name}"), self._reporter.stage(label, len(self.tasks)) as stage:
            return measure(lambda at: stage(at.done, em=at.correct / at.done))
