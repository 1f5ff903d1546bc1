"""Exact match on validation tasks while GRPO runs, and the best weights so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from transformers import TrainerCallback

from understudy.evaluation.runner import evaluate
from understudy.jsonl import read_json, write_json
from understudy.metric import proportion
from understudy.protocols import ToolSource
from understudy.training.grpo_trainer import RolloutTrainer
from understudy.training.models import save_model
from understudy.training.policy import ModelPolicy
from understudy.training.rollouts import TaskSet
from understudy.training.settings import GrpoConfig

BEST = "best"


class Validator(TrainerCallback):  # type: ignore[misc]
    """Measures exact match on validation tasks now and then, and keeps the best weights, the first ones included.

    Every process plays a share of the tasks.
    """

    def __init__(
        self, trainer: RolloutTrainer, policy: ModelPolicy, given: TaskSet, tools: ToolSource, config: GrpoConfig,
        folder: Path,
    ) -> None:  # fmt: skip
        self._trainer, self._given, self._tools, self._config, self._folder = trainer, given, tools, config, folder
        self._policy = ModelPolicy(
            policy.engine, policy.renderer, 0.0, config.max_turn_tokens, config.model, config.max_context
        )
        self._best = -1.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure the start, or remember what was measured before."""
        record = self._folder / "best.json"
        if state.global_step and record.exists():
            self._best = read_json(record)["em"]["value"]
        else:
            self._measure(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure after every so many batches, and after the last."""
        step, rest = divmod(state.global_step, self._trainer.window)
        if rest == 0 and (step % self._config.validate_every == 0 or step == self._config.steps):
            self._measure(step)

    def _measure(self, step: int) -> None:
        self._trainer.refresh_sampler()
        accelerator = self._trainer.accelerator
        share = list(self._given.tasks.values())[accelerator.process_index :: accelerator.num_processes]
        result = self._trainer.runner.run(
            evaluate(
                share, self._given.toolsets, self._given.worlds, self._policy, self._tools,
                self._config.limits, self._config.seed, concurrency=self._config.prompts * self._config.generations,
                keep_traces=False,
            )
        ) if share else None  # fmt: skip
        right = gather_object([round(result.em.value * result.em.n) if result else 0])
        em = proportion(sum(right), len(self._given.tasks))
        self._trainer._metrics["train"]["validation/em"].append(em.value)
        if em.value > self._best:
            self._best = em.value
            if self._trainer.is_world_process_zero():
                save_model(accelerator.unwrap_model(self._trainer.model), self._policy.renderer, self._folder)
                write_json(self._folder / "best.json", {"step": step, "em": em.model_dump()})
            accelerator.wait_for_everyone()  # the others read at the end what is written here
