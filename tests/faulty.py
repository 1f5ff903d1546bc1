"""Model servers that fail in every way there is: one in this process for a virtual clock, one over real HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import orjson

import virtual
from understudy.errors import ModelError
from understudy.lab.chat_api import completion, read_request
from understudy.llm.protocol import ChatModel, ChatReply, ChatRequest
from understudy.llm.transport import Response, TransportError

OK = {"choices": [{"message": {"content": "ok"}}], "usage": {"prompt_tokens": 40, "completion_tokens": 20}}
REQUEST = ChatRequest(role="toolactor", messages=({"role": "user", "content": "hi"},), max_tokens=20)
WIRE_FAULTS = ("429", "500", "hang", "cut body", "dropped", "not JSON")
CALL = {"id": "a", "type": "function", "function": {"name": "rm_rf", "arguments": "{}"}}
CONTENT_FAULTS = {
    "prose": {"content": "I would rather {not"},
    "broken schema": {"content": '{"tools": 7}'},
    "1 MB": {"content": '{"a": "' + "x" * 2**20},
    "unknown tool": {"content": "", "tool_calls": [CALL]},
}


class FaultyTransport:
    """A transport that takes time, and fails a share of the requests."""

    def __init__(self, faults=0.0, latency=1.0, seed=0):
        self.faults, self.latency, self.draw = faults, latency, random.Random(seed)
        self.sent, self.tokens, self.active, self.most_active = [], [], 0, 0

    async def post(self, body):
        self.sent.append((virtual.now(), 1))
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            await asyncio.sleep(self.latency * self.draw.random())
            if self.draw.random() < self.faults:
                return await self.fail()
            self.tokens.append((virtual.now(), 60))
            return Response(200, "OK", {}, orjson.dumps(OK))
        finally:
            self.active -= 1

    async def fail(self):
        kind = self.draw.randrange(5)
        if kind == 0:
            await asyncio.sleep(1e6)
        if kind == 1:
            raise TransportError("connection lost", connected=True)
        body = b"{cut" if kind == 2 else b"{}"
        return Response((200, 429, 500)[kind - 2], "X", {"retry-after": "2"} if kind == 3 else {}, body)

    async def aclose(self):
        pass


class FaultyServer:
    """A model behind HTTP of which a share of the answers is faulty.

    Faults of the wire strike at random, as they do; faults of content depend on the request alone, as a model's do.

    Args:
        model: who answers the rest; it is served under any name.
        wire: share of requests that meet a fault of the wire.
        content: share of answers whose content is faulty.
        only: the one kind of fault there is; all by default.
        port: 0 for any free one.
    """

    def __init__(self, model: ChatModel, wire=0.0, content=0.0, only="", port=0):
        self.model, self.wire, self.content, self.port = model, wire, content, port
        self.wire_kinds = [kind for kind in WIRE_FAULTS if only in ("", kind)]
        self.content_kinds = [kind for kind in CONTENT_FAULTS if only in ("", kind)]
        self.draw = random.Random(0)
        self.faults, self.answered, self.names = Counter(), Counter(), Counter()

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve in a thread; gives the base URL."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        def there(work):
            return asyncio.run_coroutine_threadsafe(work, loop).result()

        server = there(asyncio.start_server(self._connection, "127.0.0.1", self.port))
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{self.port}/v1"
        finally:
            there(_close(server))
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _connection(self, reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                if not await self._answer(await reader.readexactly(size), writer):
                    break
                await writer.drain()
        writer.close()

    async def _answer(self, body, writer) -> bool:
        """Answer one request; False hangs up."""
        if self.wire_kinds and self.draw.random() < self.wire:
            return await self._break(self.draw.choice(self.wire_kinds), writer)
        self.answered[hashlib.sha256(body).hexdigest()] += 1
        try:
            writer.write(http(200, await self._reply(body)))
        except ModelError as error:
            writer.write(http(400, {"error": {"message": str(error)}}))
        return True

    async def _reply(self, body):
        name, draw = orjson.loads(body)["model"], random.Random(hashlib.sha256(body).digest())
        request = read_request(body, name)
        self.names[name, request.messages[0]["content"].partition("\n")[0]] += 1
        reply = await self.model.complete(request)
        if self.content_kinds and draw.random() < self.content:
            kind = draw.choice(self.content_kinds)
            self.faults[kind] += 1
            reply = ChatReply({"role": "assistant", **CONTENT_FAULTS[kind]}, "stop", 100, 100)
        return completion(reply, name)

    async def _break(self, kind, writer) -> bool:
        self.faults[kind] += 1
        if kind == "429":
            writer.write(http(429, {"error": {"message": "slow down"}}, ["Retry-After: 0.05"]))
        elif kind == "500":
            writer.write(http(500, {"error": {"message": "oops"}}))
        elif kind == "not JSON":
            writer.write(http(200, b"<html>busy</html>"))
        elif kind == "cut body":
            writer.write(http(200, OK)[:-7])
        elif kind == "hang":
            await asyncio.sleep(60)
        return kind in ("429", "500", "not JSON")


def http(status, body, headers=()):
    """A response as bytes; a body that is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    head = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + data


async def _close(server):
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
