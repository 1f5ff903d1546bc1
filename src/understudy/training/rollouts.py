"""A batch of rollouts for GRPO: every task of the batch, a group of rollouts each, all at once on one event loop.

A group shares its task's world, so equal calls see equal observations. A rollout's seed follows from (seed, step, task,
place in the group), so a batch can be repeated exactly. Rollouts that a simulator spoilt carry no reward and no mask:
they leave the group's baseline and give no gradient.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from understudy.agents.judge import Judge, Verdict
from understudy.contract import ToolContract
from understudy.errors import UnderstudyError
from understudy.protocols import Policy, ToolSource
from understudy.reward.composite import Reward, Weights, score
from understudy.reward.judged import judge_metrics, judged, verdicts
from understudy.rollout import Limits, rollout
from understudy.scoring import exact_match
from understudy.seed import derive_seed
from understudy.task import Task
from understudy.trace import ParseFault, Status, Stop, Tokens, Trace
from understudy.world import World


@dataclass(frozen=True, slots=True, repr=False)
class TaskSet:
    """Tasks to roll out on, with what each offers and what is true in it.

    A task without a toolset is offered none; one without a world gets an empty one, which is all that live tools need.
    """

    tasks: Mapping[str, Task]
    toolsets: Mapping[str, Sequence[ToolContract]]
    worlds: Mapping[str, World]

    @classmethod
    def of(
        cls,
        tasks: Sequence[Task],
        toolsets: Mapping[str, Sequence[ToolContract]],
        worlds: Mapping[str, World] | None = None,
    ) -> TaskSet:
        """From tasks in any order."""
        known = worlds or {}
        return cls(
            {task.id: task for task in tasks}, toolsets, {task.id: known.get(task.id, World(task.id)) for task in tasks}
        )


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """Rollouts with their rewards, in the order in which they were asked for.

    Without a ``repr``: asyncio's runner of Python 3.11 writes out the result of every run, only to throw it away.
    """

    tasks: Sequence[Task]
    traces: Sequence[Trace]
    rewards: Sequence[Reward]
    verdicts: Sequence[Verdict | None] | None
    """Of the judge, one for each trace that it was asked about; None without a judge."""
    seconds_rollouts: float
    seconds_scoring: float


async def collect(
    names: Sequence[tuple[str, int]],
    given: TaskSet,
    policy: Policy,
    tools: ToolSource,
    limits: Limits,
    weights: Weights,
    seed: object,
    judge: Judge | None = None,
) -> Batch:
    """Roll out and reward.

    Args:
        names: (task id, place in its group) of each rollout.
        given: the tasks.
        policy: the model as it is now.
        tools: who answers calls.
        limits: of each rollout.
        weights: of the reward.
        seed: of the batch.
        judge: whose verdicts are one more term of the reward.

    Raises:
        UnderstudyError: the model itself can't be sampled from.
    """
    started = time.perf_counter()
    tasks = [given.tasks[task_id] for task_id, _ in names]
    traces = await asyncio.gather(
        *(
            rollout(
                task,
                given.toolsets.get(task.id, ()),
                given.worlds[task.id],
                policy,
                tools,
                limits,
                derive_seed(seed, task.id, place),
            )
            for task, (_, place) in zip(tasks, names, strict=True)
        )
    )
    sampled = time.perf_counter()
    for trace in traces:
        if trace.stop is Stop.POLICY_ERROR:
            raise UnderstudyError(f"the model can't be sampled from: {trace.detail}")
    rewards = [score(trace, task, given.worlds[task.id], weights) for trace, task in zip(traces, tasks, strict=True)]
    said = None
    if judge:
        said = await verdicts(judge, traces, rewards, seed)
        rewards = judged(traces, rewards, said, weights)
    return Batch(tasks, traces, rewards, said, sampled - started, time.perf_counter() - sampled)


def trainer_fields(batch: Batch, end_id: int) -> dict[str, list[Any]]:
    """What TRL's ``rollout_func`` returns, with the reward as an extra column (None where a simulator failed)."""
    # TRL can't take an empty completion; one masked token stands for it.
    nothing = Tokens(prompt=(end_id,), completion=(end_id,), mask=(0,), logprobs=(0.0,))
    tokens = [trace.tokens or nothing for trace in batch.traces]
    return {
        "prompt_ids": [list(one.prompt) for one in tokens],
        "completion_ids": [list(one.completion) for one in tokens],
        "logprobs": [list(one.logprobs) for one in tokens],
        "env_mask": [
            [0] * len(one.mask) if reward.masked else list(one.mask)
            for one, reward in zip(tokens, batch.rewards, strict=True)
        ],
        "reward": [None if reward.masked else reward.total for reward in batch.rewards],
    }


def shuffled(rewards: Sequence[float | None], group: int, seed: object) -> list[float | None]:
    """Rewards dealt out anew within each group of ``group`` neighbours; what a simulator spoilt stays without one."""
    dealt: list[float | None] = []
    for start in range(0, len(rewards), group):
        part = rewards[start : start + group]
        given = [reward for reward in part if reward is not None]
        random.Random(derive_seed(seed, "shuffle", start)).shuffle(given)
        dealt += [None if reward is None else given.pop() for reward in part]
    return dealt


def batch_metrics(batch: Batch) -> dict[str, float]:
    """Means over the batch: exact match, reward terms, lengths, shares of bad calls and of stop reasons."""
    return means([batch_sums(batch)])


def means(parts: Sequence[Mapping[str, tuple[float, int]]]) -> dict[str, float]:
    """Means over the parts of a batch, given the ``batch_sums`` of each; a part may lack a name."""
    names = dict.fromkeys(name for part in parts for name in part)
    found = {name: [part[name] for part in parts if name in part] for name in names}
    return {
        name: sum(total for total, _ in sums) / max(1, sum(count for _, count in sums)) for name, sums in found.items()
    }


def batch_sums(batch: Batch) -> dict[str, tuple[float, int]]:
    """What ``batch_metrics`` are the means of: name → (sum, how many were summed)."""
    size = len(batch.traces)
    counted = [reward for reward in batch.rewards if not reward.masked]
    turns = [step.turn for trace in batch.traces for step in trace.steps]
    calls = [observation for trace in batch.traces for observation in trace.observations if observation.call_id]
    invalid = sum(observation.status is Status.INVALID_CALL for observation in calls)
    matched = [
        trace.answer is not None and exact_match(trace.answer, task.answers)
        for trace, task in zip(batch.traces, batch.tasks, strict=True)
    ]
    stops = Counter(trace.stop.value for trace in batch.traces)
    return {
        "em": (sum(matched), size),
        **{
            f"reward_terms/{name}": (sum(reward.terms[name] for reward in counted), len(counted))
            for name in (counted[0].terms if counted else ())
        },
        **(judge_metrics(batch.verdicts, matched) if batch.verdicts is not None else {}),
        "masked": (size - len(counted), size),
        "turns": (len(turns), size),
        "calls": (len(calls), size),
        "malformed_turns": (sum(isinstance(turn, ParseFault) for turn in turns), len(turns)),
        "invalid_calls": (invalid, len(calls)),
        "sampled_tokens": (sum(trace.provenance.usage.get("sampled", 0) for trace in batch.traces), size),
        **{f"stop/{stop.value}": (stops[stop.value], size) for stop in Stop},
        "seconds/rollouts": (batch.seconds_rollouts, 1),
        "seconds/scoring": (batch.seconds_scoring, 1),
    }
