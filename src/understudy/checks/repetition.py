"""Calls that were made before: the same tool with the same arguments can only give the same observation."""

from __future__ import annotations

from understudy.checks.flaw import Flaw
from understudy.schema import canonical, dumps
from understudy.trace import Trace


def repeated(trace: Trace) -> list[Flaw]:
    """Calls whose tool and arguments equal those of an earlier call, up to case, white space and key order."""
    seen: set[tuple[str, bytes]] = set()
    again = []
    for turn, call, _ in trace.placed_calls():
        key = (call.name, canonical(call.arguments).lower())
        if key in seen:
            again.append(Flaw(turn=turn, what=f"{call.name} {dumps(call.arguments)}"))
        seen.add(key)
    return again
