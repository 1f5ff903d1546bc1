"""A chat-completions server that costs next to nothing: it plays the four agents on two-hop questions about numbers.

    python benchmarks/endpoint.py [LATENCY_SECONDS]

Prints its base URL and serves until it is killed. Requests are told apart by a search in their bytes.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from functools import partial

import orjson

CALLS_PER_TASK = 6
"""One of the ToolMaker, three of the AutoAgent, two of the ToolActor."""

_NUMBER = re.compile(rb"Film-(\d+)")
_ARGUMENT = re.compile(rb'"arguments\\":\{\\"(film|person)\\":\\"\w+-(\d+)')


def tasks(count: int) -> Iterator[bytes]:
    """Lines of a question file."""
    for number in range(count):
        film, person, place = f"Film-{number:07}", f"Person-{number:07}", f"Place-{number:07}"
        facts = [
            {"subject": film, "relation": "director", "object": person},
            {"subject": person, "relation": "place of birth", "object": place},
        ]
        task = {
            "id": f"task-{number:07}",
            "question": f"Where was the director of {film} born?",
            "answers": [place],
            "hops": 2,
            "evidence": {"facts": facts},
            "split": "",
            "source": "",
        }
        yield orjson.dumps(task, option=orjson.OPT_APPEND_NEWLINE)


def _tool(name: str, takes: str, gives: str) -> dict[str, object]:
    return {
        "name": name,
        "description": f"Look up the {gives.replace('_', ' ')} of a {takes}.",
        "parameters": {
            "type": "object",
            "properties": {takes: {"type": "string", "description": f"Name of the {takes}."}},
            "required": [takes],
        },
        "returns": {"type": "object", "properties": {gives: {"type": "string"}}, "required": [gives]},
    }


TOOLSET = {
    "kind": "bridge",
    "utilities": [],
    "reuse": [],
    "tools": [
        _tool("get_film_director", "film", "director"),
        _tool("get_place_of_birth", "person", "place_of_birth"),
        _tool("get_film_composer", "film", "composer"),
    ],
}


def answer(body: bytes) -> bytes:
    """The HTTP response to a request."""
    if b"You are the ToolMaker" in body:
        return _response(content=orjson.dumps(TOOLSET).decode())
    if b"You are the ToolActor" in body:
        found = _ARGUMENT.search(body)
        kind, number = (found[1], found[2].decode()) if found else (b"", "")
        result = {"director": f"Person-{number}"} if kind == b"film" else {"place_of_birth": f"Place-{number}"}
        return _response(content=orjson.dumps(result).decode())
    matched = _NUMBER.search(body)
    number = matched[1].decode() if matched else ""
    seen = body.count(b'"role":"tool"')
    if seen == 0:
        return _response(call=("get_film_director", {"film": f"Film-{number}"}))
    if seen == 1:
        return _response(call=("get_place_of_birth", {"person": f"Person-{number}"}))
    return _response(content=f"<think>Found.</think><answer>Place-{number}</answer>")


def _response(content: str = "", call: tuple[str, dict[str, str]] | None = None) -> bytes:
    message: dict[str, object] = {"role": "assistant", "content": content}
    if call:
        function = {"name": call[0], "arguments": orjson.dumps(call[1]).decode()}
        message |= {"content": "I look it up.", "tool_calls": [{"id": "a", "type": "function", "function": function}]}
    reply = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 50, "total_tokens": 550},
    }
    body = orjson.dumps(reply)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class _Connection(asyncio.Protocol):
    def __init__(self, latency: float) -> None:
        self._latency, self._buffer = latency, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = bytes(self._buffer[:end]).lower()
        size = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + size:
            return
        response = answer(bytes(self._buffer[end:]))
        self._buffer.clear()  # clients wait for the answer before they send more
        asyncio.get_running_loop().call_later(self._latency, self._transport.write, response)


async def serve(latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(_Connection, latency), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
