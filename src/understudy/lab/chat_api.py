"""The OpenAI chat-completions format as a server reads and writes it. Nothing that a client sends is trusted."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, TypeGuard
from uuid import uuid4

import orjson

from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.messages import Message
from understudy.schema import MAX_DEPTH, depth, dumps

MAX_MESSAGES = 1_000
MAX_NESTING = 4 * MAX_DEPTH  # a request nests schemas within tools


class RefusedError(Exception):
    """A request that is answered with an error: status, message, and the parameter at fault."""

    def __init__(self, status: HTTPStatus, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.status, self.parameter = status, parameter


def read_request(data: bytes, model: str) -> ChatRequest:
    """Read the body of a chat-completions request.

    Args:
        data: the body.
        model: the one name that is served.

    Raises:
        RefusedError: it is no request, or asks for what is not served.
    """
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise _bad("the body is not JSON") from None
    if not isinstance(body, dict) or depth(body) > MAX_NESTING:
        raise _bad(f"the body must be an object, nested at most {MAX_NESTING} levels")
    if body.get("model") != model:
        message = f"there is no model {str(body.get('model'))[:80]!r}; there is {model!r}"
        raise RefusedError(HTTPStatus.NOT_FOUND, message, "model")
    for unsupported, default in (("stream", False), ("n", 1)):
        if body.get(unsupported) not in (None, default):
            raise _bad(f"{unsupported}={body[unsupported]!r} is not supported", unsupported)
    messages, tools = body.get("messages"), body.get("tools") or []
    if not _objects(messages) or not 0 < len(messages) <= MAX_MESSAGES:
        raise _bad(f"messages must be 1 to {MAX_MESSAGES} objects", "messages")
    if not _objects(tools):
        raise _bad("tools must be a list of objects", "tools")
    return ChatRequest(
        role="",
        messages=tuple(_plain(message) for message in messages),
        tools=tuple(tools),
        response_schema=_schema(body.get("response_format")),
        temperature=_number(body, "temperature", 1.0),
        max_tokens=int(_number(body, "max_completion_tokens", _number(body, "max_tokens", 2048))),
        seed=int(_number(body, "seed", 0)),
    )


def _objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _number(body: dict[str, Any], key: str, default: float) -> float:
    value = body.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise _bad(f"{key} must be a number of at least 0", key)
    return value


def _plain(message: Message) -> Message:
    """A message whose content is text: clients may send it in parts."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    if not isinstance(message.get("role"), str) or not isinstance(content, str | None):
        raise _bad("a message needs a role, and text as content", "messages")
    return {**message, "content": content or ""}


def _schema(response_format: Any) -> dict[str, Any] | None:
    kind = response_format.get("type") if isinstance(response_format, dict) else response_format
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return {"type": "object"}
    wanted = response_format.get("json_schema") if kind == "json_schema" else None
    if not isinstance(wanted, dict) or not isinstance(schema := wanted.get("schema"), dict):
        raise _bad("response_format must be text, json_object, or json_schema with a schema", "response_format")
    return schema


def error_body(status: HTTPStatus, message: str, parameter: str | None = None) -> dict[str, Any]:
    """The body of an error: the server's from status 500 on, else the client's."""
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": parameter, "code": None}}


def _bad(message: str, parameter: str | None = None) -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, message, parameter)


def completion(reply: ChatReply, model: str) -> dict[str, Any]:
    """The body of an answer."""
    message = {"role": "assistant", "refusal": None, **reply.message}
    if calls := message.get("tool_calls"):
        message["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": _text(call["function"]["arguments"])}}
            for call in calls
        ]
    used = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}],
        "usage": {**used, "total_tokens": sum(used.values())},
    }


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else dumps(arguments)
