"""What a utility is: a contract and the code that computes its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from understudy.contract import ToolContract


@dataclass(frozen=True, slots=True)
class Utility:
    """A tool that really computes, in synthesis, training and evaluation alike.

    Attributes:
        contract: its interface; results keep ``contract.returns``.
        run: arguments that keep ``contract.parameters`` to a JSON object, or ToolError with one line. Nothing else is
            raised, and time and size are bounded for any arguments.
    """

    contract: ToolContract
    run: Callable[[dict[str, Any]], dict[str, Any]]


def object_schema(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """The closed JSON Schema of an object with these properties."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


def text_schema(description: str, max_length: int) -> dict[str, Any]:
    """The schema of a non-empty text argument; the length bound keeps utilities fast on hostile input."""
    return {"type": "string", "description": description, "minLength": 1, "maxLength": max_length}
