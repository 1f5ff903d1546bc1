"""Requests and replies as they are on the OpenAI wire.

What is ours alone stays here: the keys ``source`` and ``fault``, object ``arguments``, and ``return`` of a function,
which strict servers refuse and which therefore becomes a sentence of the description.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import orjson

from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.messages import Message
from understudy.schema import dumps

MAX_DESCRIPTION = 1024
_OURS = ("source", "fault")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


class StructuredOutput(StrEnum):
    """How a server is asked for JSON. Whatever it promises, replies are validated."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    NONE = "none"


def to_body(request: ChatRequest, model: str, structured_output: StructuredOutput) -> dict[str, Any]:
    """The JSON body of a chat-completions request."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.seed % 2**31,  # some servers hold seeds in 32 bits
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.response_schema is not None and structured_output is StructuredOutput.JSON_SCHEMA:
        # Not strict: OpenAI's strict mode has no free-form objects, which the schemas inside contracts are.
        schema = {"name": request.role, "schema": request.response_schema, "strict": False}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.response_schema is not None and structured_output is StructuredOutput.JSON_OBJECT:
        body["response_format"] = {"type": "json_object"}
    return body


def to_reply(data: bytes) -> ChatReply:
    """Read the body of a reply, of which nothing is trusted.

    Raises:
        ValueError: it is no chat completion; the message is one line.
    """
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ValueError("the reply is not JSON") from None
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ValueError("the reply has no message")
    usage = body.get("usage")
    reason = choice.get("finish_reason")
    return ChatReply(
        message=_said(message),
        finish_reason=reason if isinstance(reason, str) else "stop",
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
    )


def error_of(data: bytes) -> tuple[str, str]:
    """Message and code in the body of an error; empty where it has none. Nothing of it is trusted."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return data[:1000].decode(errors="replace"), ""
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return str(error), ""
    return str(error.get("message") or error.get("detail") or ""), str(error.get("code") or "")


def _message(message: Message) -> Message:
    sent = {key: value for key, value in message.items() if key not in _OURS}
    if "name" in sent:
        sent["name"] = _name(sent["name"])
    if calls := sent.get("tool_calls"):
        sent["tool_calls"] = [
            {
                **call,
                "function": {
                    "name": _name(call["function"]["name"]),
                    "arguments": _text(call["function"]["arguments"]),
                },
            }
            for call in calls
        ]
    return sent


def _name(name: str) -> str:
    """A tool's name as servers accept it: a model may have called anything, and is told so by the loop."""
    return _NOT_IN_NAMES.sub("_", name)[:64]


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = {key: value for key, value in tool["function"].items() if key != "return"}
    if returns := tool["function"].get("return"):
        described = f"{function['description']} Returns JSON: {dumps(returns)}".strip()
        if len(described) <= MAX_DESCRIPTION:
            function["description"] = described
    return {**tool, "function": function}


def _said(message: dict[str, Any]) -> Message:
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    said: Message = {"role": "assistant", "content": content if isinstance(content, str) else ""}
    # Reasoning models' thoughts: vLLM and DeepSeek use the first key, OpenRouter and newer vLLM the second.
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, str):
        said["reasoning_content"] = reasoning
    if isinstance(calls := message.get("tool_calls"), list) and calls:
        said["tool_calls"] = [_call(call if isinstance(call, dict) else {}) for call in calls]
    return said


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """A call in the form it should have; one without a name is kept, for the grammar to refuse."""
    function = call.get("function")
    if not isinstance(function, dict):
        function = {}
    name, arguments, identifier = function.get("name"), function.get("arguments"), call.get("id")
    return {
        "id": identifier if isinstance(identifier, str) else "",
        "type": "function",
        "function": {"name": name if isinstance(name, str) else "", "arguments": _text(arguments or {})},
    }


def _text(arguments: object) -> str:
    return arguments if isinstance(arguments, str) else dumps(arguments)


def _count(usage: object, key: str) -> int:
    value = usage.get(key) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value > 0 else 0
