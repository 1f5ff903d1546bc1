"""A trace as one row of a tool-calling data set, and back: TRL's columns ``messages`` and ``tools``, and our own.

``arguments`` are objects. Rows of other origin, with ``messages`` and ``tools`` alone, are read too.
"""

from __future__ import annotations

from typing import Any

import orjson

from understudy.contract import ToolContract, first_problem
from understudy.errors import InputError
from understudy.messages import to_messages, to_steps
from understudy.trace import Provenance, Stop, Trace, Turn

COLUMNS = ("task_id", "world_id", "messages", "tools", "provenance")


def to_row(trace: Trace, system: str = "") -> dict[str, Any]:
    """The row of a finished trace. Token ids, if it has any, belong to one model and are left out."""
    return {
        "task_id": trace.task_id,
        "world_id": trace.world_id,
        "messages": to_messages(trace, system),
        "tools": [contract.to_openai() for contract in trace.toolset],
        "provenance": trace.provenance.model_dump(mode="json"),
    }


def from_row(row: dict[str, Any]) -> Trace:
    """The trace of a row.

    Raises:
        InputError: a column is missing or is not what it has to be; the message says which.
    """
    messages, tools = _objects(row, "messages"), _objects(row, "tools", optional=True)
    asked = next((message.get("content") for message in messages if message.get("role") == "user"), None)
    if not isinstance(asked, str):
        raise InputError("messages: there is no user message that asks something")
    provenance = row.get("provenance") or {"policy": "", "tools": ""}
    try:
        steps = to_steps(messages)
        answered = bool(steps) and isinstance(turn := steps[-1].turn, Turn) and turn.answer is not None
        return Trace(
            task_id=str(row.get("task_id") or ""),
            question=asked,
            toolset=tuple(ToolContract.from_openai(tool) for tool in tools),
            world_id=str(row.get("world_id") or ""),
            steps=steps,
            stop=Stop.ANSWERED if answered else Stop.MAX_TURNS,
            detail="" if answered else "the conversation ends without an answer",
            provenance=Provenance(**(orjson.loads(provenance) if isinstance(provenance, str) else provenance)),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(first_problem(error) if isinstance(error, ValueError) else str(error)) from None


def _objects(row: dict[str, Any], column: str, optional: bool = False) -> list[dict[str, Any]]:
    value = row.get(column)
    if value is None and optional:
        return []
    try:
        items = orjson.loads(value) if isinstance(value, str) else value
        if not isinstance(items, list):
            raise InputError(f"{column}: expected a list")
        objects = [orjson.loads(item) if isinstance(item, str) else item for item in items]
    except orjson.JSONDecodeError as error:
        raise InputError(f"{column}: not valid JSON ({error.msg})") from None
    if not all(isinstance(item, dict) for item in objects):
        raise InputError(f"{column}: expected a list of objects")
    return objects
