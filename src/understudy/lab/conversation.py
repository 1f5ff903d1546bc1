"""A conversation as the scripted agent reads it: question, tools offered, calls made and what they gave.

Everything comes from the messages that a model would get, in native form (``tools``, ``tool_calls``, ``tool``
messages) or as plain-text ReAct (tools listed in the system message, ``Observation:`` lines).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from understudy.grammar import parse_react
from understudy.lab.lexicon import relations_named, words
from understudy.llm.protocol import ChatRequest
from understudy.messages import Message
from understudy.trace import Turn

_OBSERVATION = "Observation:"


@dataclass(frozen=True)
class Offered:
    """A tool as the agent understands it.

    Attributes:
        name: of the tool.
        parameter: the one to fill.
        named: relations that its name speaks of, or its description if the name speaks of none; best match first.
        described: relations that its description speaks of.
    """

    name: str
    parameter: str
    named: tuple[str, ...]
    described: tuple[str, ...]

    @property
    def searches(self) -> bool:
        """Whether it is a full-text search."""
        return not self.named and "search" in words(self.name)

    @property
    def calculates(self) -> bool:
        """Whether it is the calculator."""
        return not self.named and self.parameter == "expression"


@dataclass(frozen=True)
class Made:
    """A call that was made in some turn, and the content of its result (None for a call that never ran)."""

    turn: int
    name: str
    arguments: dict[str, Any]
    result: Any


@dataclass(frozen=True)
class Conversation:
    """What the agent knows when its turn comes."""

    question: str
    react: bool
    turn: int
    tools: tuple[Offered, ...]
    made: tuple[Made, ...]


def read_conversation(request: ChatRequest) -> Conversation:
    """Read a request to the AutoAgent."""
    system = next((_content(message) for message in request.messages if message.get("role") == "system"), "")
    rest = [message for message in request.messages if message.get("role") != "system"]
    question = _content(rest[0]) if rest else ""
    react = not request.tools and "Action Input" in system
    tools = _listed(system) if react else tuple(_offered(tool.get("function")) for tool in request.tools)
    turns = sum(message.get("role") == "assistant" for message in rest)
    return Conversation(question, react, turns, tools, tuple(_react_calls(rest) if react else _native_calls(rest)))


def _native_calls(messages: Sequence[Message]) -> Iterator[Made]:
    results = {
        message.get("tool_call_id"): _loads(_content(message)) for message in messages if message.get("role") == "tool"
    }
    said = [message for message in messages if message.get("role") == "assistant"]
    for turn, message in enumerate(said):
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            arguments = function.get("arguments")
            arguments = _loads(arguments) if isinstance(arguments, str) else arguments
            arguments = arguments if isinstance(arguments, dict) else {}
            yield Made(turn, str(function.get("name")), arguments, results.get(call.get("id")))


def _react_calls(messages: Sequence[Message]) -> Iterator[Made]:
    for number, (said, answered) in enumerate(zip(messages[1::2], messages[2::2], strict=False)):
        turn = parse_react(_content(said))
        if isinstance(turn, Turn):
            lines = [line for line in _content(answered).splitlines() if line.startswith(_OBSERVATION)]
            for call, line in zip(turn.calls, lines, strict=False):
                yield Made(number, call.name, call.arguments, _loads(line.removeprefix(_OBSERVATION)))


@lru_cache(maxsize=4096)
def _listed(system: str) -> tuple[Offered, ...]:
    listed = [_loads(line.lstrip("-* ")) for line in system.splitlines() if '"parameters"' in line]
    return tuple(_offered(tool.get("function", tool)) for tool in listed if isinstance(tool, dict))


def _offered(function: Any) -> Offered:
    function = function if isinstance(function, dict) else {}
    name, described = str(function.get("name")), relations_named(str(function.get("description") or ""))
    parameters = function.get("parameters") or {}
    wanted = [*(parameters.get("required") or ()), *(parameters.get("properties") or ())]
    return Offered(name, str(wanted[0]) if wanted else "query", relations_named(name) or described, described)


def _content(message: Message) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _loads(text: str) -> Any:
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
