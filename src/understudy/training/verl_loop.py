"""verl's agent loop, played by our rollout: its servers sample, ours is all else, reward included.

verl makes a loop for every rollout and gives it a row of its data set; the row names the task (``write_rows``), and
``Play`` holds the rest. Token ids go to verl's servers and come back from them: what is trained on is what was sampled.

verl can't leave a rollout out of its group's baseline: one that a simulator spoilt has no token to learn, but its
reward of 0 counts there. Its servers draw random numbers of their own, so a rollout can't be repeated from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from datasets import Dataset
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput

from understudy.errors import InputError, ModelError
from understudy.protocols import ToolSource
from understudy.task import Task
from understudy.training.engine import Completion
from understudy.training.models import make_renderer
from understudy.training.policy import ModelPolicy
from understudy.training.rollouts import TaskSet, batch_metrics, collect, trainer_fields
from understudy.training.settings import GrpoConfig

LOOP = "understudy"
_VERSIONS = ("min_global_steps", "max_global_steps")  # of the weights that a rollout was sampled from
_renderer = lru_cache(maxsize=4)(make_renderer)


@dataclass(frozen=True, slots=True)
class Play:
    """What all loops of a process share.

    Attributes:
        given: the tasks.
        tools: who answers calls.
        config: template, system message, limits, reward and tokens of a turn; for the rest verl has its own settings.
    """

    given: TaskSet
    tools: ToolSource
    config: GrpoConfig


def write_rows(tasks: Sequence[Task], path: Path) -> None:
    """Write a data set for verl, a row for each task."""
    rows = [
        {
            "data_source": LOOP,
            "agent_name": LOOP,
            "prompt": [{"role": "user", "content": task.question}],
            "extra_info": {"index": index, "task_id": task.id},
            "reward_model": {"style": "rule", "ground_truth": task.answers[0]},  # verl shows it; the reward is ours
        }
        for index, task in enumerate(tasks)
    ]
    Dataset.from_list(rows).to_parquet(str(path))


class RolloutLoop(AgentLoopBase):  # type: ignore[misc]
    """See the module."""

    def __init__(self, *args: Any, play: Play, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._play = play

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        """Play one rollout.

        Raises:
            InputError: the row's task is unknown, or its prompt is longer than verl allows.
            UnderstudyError: verl's servers can't be sampled from.
        """
        given, config, allowed = self._play.given, self._play.config, self.rollout_config
        task_id = str((row.get("extra_info") or {}).get("task_id"))
        if task_id not in given.tasks:
            raise InputError(f"verl: extra_info names task {task_id!r}, which is not among {len(given.tasks)} tasks")
        renderer = _renderer(self.tokenizer, config.template, config.system)
        prompt = len(renderer.prompt(given.tasks[task_id].question, given.toolsets.get(task_id, ())))
        if prompt > allowed.prompt_length:
            raise InputError(f"{task_id}: a prompt of {prompt} tokens; verl's prompt_length is {allowed.prompt_length}")
        engine = _Servers(self.server_manager, sampling_params, renderer.end_id, prompt + allowed.response_length)
        policy = ModelPolicy(engine, renderer, max_turn_tokens=config.max_turn_tokens)
        batch = await collect([(task_id, 0)], given, policy, self._play.tools, config.limits, config.weights, LOOP)
        fields, measured = trainer_fields(batch, renderer.end_id), batch_metrics(batch)
        told = {"acc": measured["em"], "masked": measured["masked"]}
        return AgentLoopOutput(
            prompt_ids=fields["prompt_ids"][0],
            response_ids=fields["completion_ids"][0],
            response_mask=fields["env_mask"][0],
            response_logprobs=fields["logprobs"][0],
            reward_score=fields["reward"][0] or 0.0,
            num_turns=2 * len(batch.traces[0].steps),
            metrics=AgentLoopMetrics(generate_sequences=batch.seconds_rollouts, compute_score=batch.seconds_scoring),
            extra_fields={
                **dict.fromkeys(_VERSIONS, row.get("global_steps")),
                **engine.told,
                "stop": batch.traces[0].stop.value,
                "reward_extra_info": told,
            },
        )


class _Servers:
    """verl's servers as an ``Engine``: one conversation, kept on one server, whose prefix cache then spares it work."""

    def __init__(self, servers: Any, sampling: dict[str, Any], stop_id: int, context: int) -> None:
        self.context = context
        self.told: dict[str, Any] = {"turn_scores": [], "tool_rewards": []}  # as verl's own loops have them
        self._servers, self._stop, self._request = servers, stop_id, uuid4().hex
        self._sampling = {**sampling, "stop_token_ids": [stop_id], "ignore_eos": True, "logprobs": True}
        self._ids: list[int] = []

    def open(self, temperature: float) -> _Servers:
        """The conversation; the temperature is in verl's sampling parameters."""
        return self

    async def sample(self, new_ids: Sequence[int], max_tokens: int, generator: np.random.Generator) -> Completion:
        """See ``engine.Slot``, but for the random numbers.

        Raises:
            ModelError: there are no tokens, or tokens without log-probabilities.
        """
        self._ids += new_ids
        output = await self._servers.generate(
            request_id=self._request,
            prompt_ids=list(self._ids),
            sampling_params={**self._sampling, "max_tokens": max_tokens},
        )
        ids, logprobs = list(output.token_ids), list(output.log_probs or ())
        if not 0 < len(ids) == len(logprobs) <= max_tokens:
            raise ModelError(f"verl: {len(ids)} tokens, {len(logprobs)} log-probabilities, of {max_tokens} asked for")
        self.told.setdefault("min_global_steps", output.extra_fields.get("min_global_steps"))
        self.told["max_global_steps"] = output.extra_fields.get("max_global_steps")
        self._ids += ids
        return Completion(ids, logprobs)

    def close(self) -> None:
        """Nothing to give back: verl's client counts its requests itself."""
