"""Tasks that one look-up tool is offered for, and who answers its calls: what training tests roll out on."""

from __future__ import annotations

import asyncio

import torch

import handmade
from understudy.errors import SimulatorError
from understudy.rollout import Limits
from understudy.task import Task
from understudy.trace import Observation, Source
from understudy.training.rollouts import TaskSet

FIND = handmade.contract("find", "film", returns="who")
LIMITS = Limits(max_turns=2, max_faults=2, max_tokens=60)


def task_set(count: int) -> TaskSet:
    tasks = [Task(id=f"t{index}", question="Which?", answers=("a",)) for index in range(count)]
    return TaskSet.of(tasks, {task.id: (FIND,) for task in tasks})


def ending(model, stop_id: int):
    """The model, now fond of ending its turns, so that rollouts have several."""
    bias = torch.zeros(model.config.vocab_size)
    bias[stop_id] = 6.0
    model.lm_head.bias = torch.nn.Parameter(bias)
    return model


class LookUp:
    """Answers after a turn of the event loop, or fails as a simulator."""

    name = "look-up"

    def __init__(self, broken=False):
        self.broken = broken

    def source_of(self, contract):
        return Source.SIMULATED

    async def call(self, contract, call, world):
        await asyncio.sleep(0)
        if self.broken:
            raise SimulatorError("no valid observation")
        who = {"who": "the next one"}
        return Observation(call_id=call.id, name=call.name, content=who, source=Source.SIMULATED)


class Made:
    """A reward made of the sampled tokens, so that rollouts of a model that knows nothing differ in it."""

    def __init__(self, trace, *_):
        self.total = float(sum(trace.tokens.completion) % 7) if trace.tokens else 0.0
        self.masked, self.terms = trace.stop.value == "simulator_failure", {}
