"""Whether the trace parses."""

from __future__ import annotations

from understudy.trace import ParseFault, Stop, Trace


def form(trace: Trace) -> float:
    """``1 / (1 + malformed turns)`` of a trace that ends in an answer: 1 if all of it parses. 0 without an answer."""
    if trace.stop is not Stop.ANSWERED:
        return 0.0
    return 1.0 / (1 + sum(isinstance(step.turn, ParseFault) for step in trace.steps))
