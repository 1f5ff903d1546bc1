"""What one term of the reward is worth, and what it was lost by."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.checks.flaw import Flaw
from understudy.trace import Trace


@dataclass(frozen=True, slots=True)
class Term:
    """A value in [0, 1], and the flaws that keep it from 1, in the order of the turns."""

    value: float
    flaws: tuple[Flaw, ...] = ()


def unanswered(trace: Trace) -> Flaw:
    """The flaw of a trace without an answer: in its last turn, if it has one."""
    return Flaw(turn=len(trace.steps) - 1 if trace.steps else None, what=f"no answer: {trace.stop}")
