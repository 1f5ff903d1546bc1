"""Calls that were made before: the same tool with the same arguments can only give the same observation."""

from __future__ import annotations

from understudy.schema import canonical
from understudy.trace import Call, Trace


def repeated(trace: Trace) -> list[Call]:
    """Calls whose tool and arguments equal those of an earlier call, up to case, white space and key order."""
    seen: set[tuple[str, bytes]] = set()
    again = []
    for call, _ in trace.calls():
        key = (call.name, canonical(call.arguments).lower())
        if key in seen:
            again.append(call)
        seen.add(key)
    return again
