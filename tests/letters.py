"""A tool that answers letters, and a model that knows the grammar and guesses them: what GRPO is tested on."""

from __future__ import annotations

import random

import handmade
import tiny
from lookup import FIND
from understudy.errors import SimulatorError
from understudy.rollout import Limits
from understudy.trace import Observation, Source
from understudy.training.settings import GrpoConfig
from understudy.training.sft import SftConfig, sft

LETTERS = "abcd"
LIMITS = Limits(max_turns=2, max_faults=1, max_tokens=120)


class LookUp:
    """Answers with the letter after the one asked for; fails as a simulator for some."""

    name = "look-up"

    def __init__(self, broken=""):
        self.broken, self.seen = broken, []

    def source_of(self, contract):
        return Source.SIMULATED

    async def call(self, contract, call, world):
        self.seen.append(world)
        if call.arguments["film"] in self.broken:
            raise SimulatorError("no valid observation")
        who = {"who": "the next of " + call.arguments["film"]}
        return Observation(call_id=call.id, name=call.name, content=who, source=Source.SIMULATED)


def guesser(tokenizer, folder) -> str:
    """Where the model lies, trained in a few seconds."""
    tiny.build_model(tokenizer, initializer_range=0.05).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    rng, traces = random.Random(0), []
    for index in range(400):
        film = rng.choice(LETTERS)
        seen = ("find", {"film": film}, {"who": "the next of " + film})
        trace = handmade.trace(seen, answer=rng.choice(LETTERS), question="Which?", toolset=(FIND,))
        traces.append(trace.model_copy(update={"task_id": str(index)}))
    config = SftConfig(
        model=str(folder / "base"), template="lab", lr=1e-2, epochs=6, save_every=0, held_out=0, optimizer="adamw"
    )
    return sft(config, folder / "sft", traces).model


def configured(start, **changes):
    settings = {
        "model": start, "steps": 3, "prompts": 2, "generations": 4, "minibatches": 2, "lr": 1e-3, "beta": 0.0,
        "max_turn_tokens": 40, "limits": LIMITS, "save_every": 0,
    }  # fmt: skip
    return GrpoConfig(**{**settings, **changes})
