"""Any chat model as an OpenAI-compatible server: ``/v1/chat/completions`` and ``/v1/models``.

For trying the endpoint path without a key, and for tests over real HTTP. It listens on loopback unless told otherwise,
has no authentication, and does not stream. What a client does wrong comes back as an OpenAI error with its status;
what the model can't answer is a 502.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeGuard
from uuid import uuid4

import orjson

from understudy.errors import InputError, ModelError
from understudy.llm.protocol import ChatModel, ChatReply, ChatRequest
from understudy.messages import Message
from understudy.schema import MAX_DEPTH, depth, dumps

MAX_BODY_BYTES = 4 << 20
MAX_MESSAGES = 1_000
MAX_NESTING = 4 * MAX_DEPTH  # a request nests schemas within tools
IDLE_SECONDS = 30
ANSWER_SECONDS = 600


@contextmanager
def serve(model: ChatModel, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a model while the context lasts.

    Args:
        model: who answers; all its requests run in one event loop.
        host: address to listen on.
        port: 0 for any free one.

    Yields:
        The base URL for clients: ``http://host:port/v1``.

    Raises:
        InputError: the address can't be listened on.
    """
    try:
        server = _Server((host, port), _Handler)
    except OSError as error:
        raise InputError(f"can't listen on {host}:{port} ({(error.strerror or str(error)).lower()})") from None
    loop = asyncio.new_event_loop()
    server.model, server.loop = model, loop
    threads = [threading.Thread(target=run, daemon=True) for run in (loop.run_forever, server.serve_forever)]
    for thread in threads:
        thread.start()
    try:
        yield f"http://{host}:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        for thread in threads:
            thread.join()
        loop.close()


def wait() -> None:
    """Wait until the user interrupts."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Server(ThreadingHTTPServer):
    model: ChatModel
    loop: asyncio.AbstractEventLoop
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False  # idle keep-alive connections must not hold up the end

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    """A request that is answered with an error: status, message, and the parameter at fault."""

    def __init__(self, status: HTTPStatus, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.status, self.parameter = status, parameter


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(self._models)

    def do_POST(self) -> None:
        self._answer(self._completion)

    def _answer(self, route: Callable[[], dict[str, Any]]) -> None:
        try:
            self._send(HTTPStatus.OK, route())
        except _RefusedError as error:
            self._send(error.status, _error_object(error.status, str(error), error.parameter))

    def _send(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        data = orjson.dumps(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses (a malformed request, an unknown method), as JSON too."""
        self.close_connection = True
        self._send(HTTPStatus(code), _error_object(HTTPStatus(code), message or HTTPStatus(code).phrase))

    def _models(self) -> dict[str, Any]:
        if self._path() != "/v1/models":
            raise self._no_route({"/v1/chat/completions": "POST"})
        entry = {"id": self.server.model.name, "object": "model", "created": 0, "owned_by": "understudy"}
        return {"object": "list", "data": [entry]}

    def _completion(self) -> dict[str, Any]:
        body = self._body()
        if self._path() != "/v1/chat/completions":
            raise self._no_route({"/v1/models": "GET"})
        request = _request(body, self.server.model.name)
        running = asyncio.run_coroutine_threadsafe(self.server.model.complete(request), self.server.loop)
        try:
            reply = running.result(ANSWER_SECONDS)
        except ModelError as error:
            raise _RefusedError(HTTPStatus.BAD_GATEWAY, str(error)) from None
        except TimeoutError:
            running.cancel()
            raise _RefusedError(HTTPStatus.GATEWAY_TIMEOUT, f"no answer within {ANSWER_SECONDS} s") from None
        except Exception as error:  # a model may raise anything; its client is told, and the server goes on
            raise _RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}") from None
        return _completion_object(reply, self.server.model.name)

    def _path(self) -> str:
        return self.path.partition("?")[0].rstrip("/")

    def _no_route(self, others: dict[str, str]) -> _RefusedError:
        if (method := others.get(self._path())) is not None:
            return _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, f"{self._path()} takes {method} only")
        return _RefusedError(HTTPStatus.NOT_FOUND, f"no route {self.path[:80]!r}")

    def _body(self) -> bytes:
        """The body, of bounded length. An unread one ends the connection, as what follows it can't be found."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.close_connection = True
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "a request needs a Content-Length")
        if int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the body has {length} bytes; at most {MAX_BODY_BYTES} are accepted",
            )
        return self.rfile.read(int(length))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are not logged."""


def _request(data: bytes, model: str) -> ChatRequest:
    """Read the body of a chat-completions request, of which nothing is trusted."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise _bad("the body is not JSON") from None
    if not isinstance(body, dict) or depth(body) > MAX_NESTING:
        raise _bad(f"the body must be an object, nested at most {MAX_NESTING} levels")
    if body.get("model") != model:
        message = f"there is no model {str(body.get('model'))[:80]!r}; there is {model!r}"
        raise _RefusedError(HTTPStatus.NOT_FOUND, message, "model")
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


def _error_object(status: HTTPStatus, message: str, parameter: str | None = None) -> dict[str, Any]:
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": parameter, "code": None}}


def _bad(message: str, parameter: str | None = None) -> _RefusedError:
    return _RefusedError(HTTPStatus.BAD_REQUEST, message, parameter)


def _completion_object(reply: ChatReply, model: str) -> dict[str, Any]:
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
