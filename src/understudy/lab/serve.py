"""Any chat model as an OpenAI-compatible server: ``/v1/chat/completions`` and ``/v1/models``.

For trying the endpoint path without a key, and for tests over real HTTP. It listens on loopback unless told otherwise,
has no authentication, and does not stream. What a client does wrong comes back as an OpenAI error with its status;
what the model can't answer is a 502.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from understudy.errors import InputError, ModelError
from understudy.lab.chat_api import RefusedError, completion, error_body, read_request
from understudy.llm.protocol import ChatModel

MAX_BODY_BYTES = 4 << 20
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
    accept = partial(server.serve_forever, poll_interval=0.05)
    threads = [threading.Thread(target=run, daemon=True) for run in (loop.run_forever, accept)]
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
        except RefusedError as error:
            self._send(error.status, error_body(error.status, str(error), error.parameter))

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
        self._send(HTTPStatus(code), error_body(HTTPStatus(code), message or HTTPStatus(code).phrase))

    def _models(self) -> dict[str, Any]:
        if self._path() != "/v1/models":
            raise self._no_route({"/v1/chat/completions": "POST"})
        entry = {"id": self.server.model.name, "object": "model", "created": 0, "owned_by": "understudy"}
        return {"object": "list", "data": [entry]}

    def _completion(self) -> dict[str, Any]:
        body = self._body()
        if self._path() != "/v1/chat/completions":
            raise self._no_route({"/v1/models": "GET"})
        request = read_request(body, self.server.model.name)
        running = asyncio.run_coroutine_threadsafe(self.server.model.complete(request), self.server.loop)
        try:
            reply = running.result(ANSWER_SECONDS)
        except ModelError as error:
            raise RefusedError(HTTPStatus.BAD_GATEWAY, str(error)) from None
        except TimeoutError:
            running.cancel()
            raise RefusedError(HTTPStatus.GATEWAY_TIMEOUT, f"no answer within {ANSWER_SECONDS} s") from None
        except Exception as error:  # a model may raise anything; its client is told, and the server goes on
            raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}") from None
        return completion(reply, self.server.model.name)

    def _path(self) -> str:
        return self.path.partition("?")[0].rstrip("/")

    def _no_route(self, others: dict[str, str]) -> RefusedError:
        if (method := others.get(self._path())) is not None:
            return RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, f"{self._path()} takes {method} only")
        return RefusedError(HTTPStatus.NOT_FOUND, f"no route {self.path[:80]!r}")

    def _body(self) -> bytes:
        """The body, of bounded length. An unread one ends the connection, as what follows it can't be found."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.close_connection = True
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "a request needs a Content-Length")
        if int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the body has {length} bytes; at most {MAX_BODY_BYTES} are accepted",
            )
        return self.rfile.read(int(length))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are not logged."""
