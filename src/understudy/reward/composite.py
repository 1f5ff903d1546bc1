"""The reward of a trace: ``R = correctness + 0.2 · consistency + 0.1 · format``.

A right answer is worth at least 1.0 and a wrong one at most 0.8, whatever its shape: no amount of well-formed work
outweighs being right. Weights that would break this order are refused.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from understudy.checks.contradiction import all_contradictions
from understudy.checks.flaw import Flaw
from understudy.config import Config
from understudy.noun import Noun
from understudy.reward.consistency import consistency
from understudy.reward.correctness import correctness
from understudy.reward.format import form
from understudy.task import Task
from understudy.trace import Status, Stop, Trace
from understudy.world import World


class Weights(Config):
    """What the parts of the reward weigh. A right answer always weighs 1."""

    f1: float = Field(default=0.5, ge=0, le=0.5)
    """Share of F1 that a wrong answer is given. Above 0.5, answering with all candidates could pay more than choosing:
    one of k is right with 1/k, and all k together have an F1 of at most 2/(k + 1) on average."""

    consistency: float = Field(default=0.2, ge=0)
    """Weight of consistency in [0, 1]."""

    format: float = Field(default=0.1, ge=0)
    """Weight of format in [0, 1]."""

    judge: float = Field(default=0.0, ge=0)
    """Weight of an LLM judge's score in [0, 1]; 0 asks none."""

    @model_validator(mode="after")
    def _right_beats_wrong(self) -> Self:
        if self.f1 + self.consistency + self.format + self.judge >= 1:
            names = "f1 + consistency + format + judge"
            raise ValueError(f"{names} must stay below 1, or a wrong answer could beat a right one")
        return self


class Reward(Noun):
    """A trace's reward.

    Attributes:
        total: the weighted sum.
        terms: ``correctness``, ``consistency`` and ``format`` unweighted, and the parts of consistency by name;
            ``judge`` where one was asked.
        flaws: where it was lost: by term, every flaw with its turn. A term that lost nothing is not there, nor is
            ``consistency`` where its parts say why.
        masked: a simulator failed or contradicted the world, so the trace says nothing about the policy: leave it out
            of the loss and of its group's baseline.
    """

    total: float
    terms: dict[str, float]
    flaws: dict[str, tuple[Flaw, ...]] = Field(default_factory=dict)
    masked: bool = False


def score(trace: Trace, task: Task, world: World, weights: Weights | None = None) -> Reward:
    """Reward a trace.

    Args:
        trace: any trace, however it ended.
        task: the accepted answers.
        world: what was true; a tool that contradicted it masks the trace.
        weights: the defaults of the design if None.
    """
    weights = weights or Weights()
    terms = {"correctness": correctness(trace, task, weights.f1), **consistency(trace), "format": form(trace)}
    values = {name: term.value for name, term in terms.items()}
    return Reward(
        total=values["correctness"] + weights.consistency * values["consistency"] + weights.format * values["format"],
        terms=values,
        flaws={name: term.flaws for name, term in terms.items() if term.flaws},
        masked=_simulator_to_blame(trace, world),
    )


def _simulator_to_blame(trace: Trace, world: World) -> bool:
    failed = any(observation.status is Status.SIMULATOR_FAILURE for observation in trace.observations)
    return failed or trace.stop is Stop.SIMULATOR_FAILURE or bool(all_contradictions(trace, world.facts))
