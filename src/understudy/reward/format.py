"""Whether the trace parses."""

from __future__ import annotations

from understudy.checks.flaw import Flaw
from understudy.reward.term import Term, unanswered
from understudy.trace import ParseFault, Stop, Trace


def form(trace: Trace) -> Term:
    """``1 / (1 + malformed turns)`` of a trace that ends in an answer: 1 if all of it parses. 0 without an answer."""
    malformed = tuple(
        Flaw(turn=index, what=f"{step.turn.fault}: {step.turn.detail}")
        for index, step in enumerate(trace.steps)
        if isinstance(step.turn, ParseFault)
    )
    if trace.stop is not Stop.ANSWERED:
        return Term(0.0, (*malformed, unanswered(trace)))
    return Term(1.0 / (1 + len(malformed)), malformed)
