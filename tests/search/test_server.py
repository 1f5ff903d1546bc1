"""The client of a retrieval server, against a real HTTP server on loopback that answers, fails and lies."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from understudy.errors import OutageError, SimulatorError
from understudy.llm.retry import Patience
from understudy.search.server import MAX_REQUESTS, RetrievalServer
from understudy.search.tools import SEARCH, SearchTools
from understudy.trace import Call
from understudy.world import World

QUICK = Patience(timeout=0.5, attempts=3, backoff=0.001)
DOCUMENT = {"id": "7", "contents": '"Ali (film)"\nA film of 2001.'}
GOOD = {"result": [[{"document": DOCUMENT, "score": 2.5}]]}


class Server:
    """Answers with the lines of a script, the last one for ever; keeps what it was asked."""

    def __init__(self):
        self.script, self.asked, self.paths, self.most_at_once = [GOOD], [], [], 0
        outer, lock, active = self, threading.Lock(), [0]

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    outer.asked.append(asked)
                    outer.paths.append(self.path)
                    active[0] += 1
                    outer.most_at_once = max(outer.most_at_once, active[0])
                    line = outer.script.pop(0) if len(outer.script) > 1 else outer.script[0]
                try:
                    outer.play(self, line, asked)
                finally:
                    with lock:
                        active[0] -= 1

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # a client that hangs up is what some tests are about
        self.url = f"http://127.0.0.1:{self.http.server_port}/retrieve"
        self.released = threading.Event()

    def play(self, handler, line, asked):
        if callable(line):
            line = line(asked)
        if line == "hang":
            self.released.wait(5)
            handler.close_connection = True
            return
        if line == "drop":
            handler.close_connection = True
            return
        status, headers, body = line if isinstance(line, tuple) else (200, {}, line)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
        if int(headers.get("Content-Length", 0)) > len(data):
            handler.close_connection = True


@pytest.fixture
def server():
    serving = Server()
    thread = threading.Thread(target=serving.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield serving
    serving.released.set()
    serving.http.shutdown()
    thread.join()
    serving.http.server_close()


async def search(server, *queries, k=3, patience=QUICK):
    async with aclosing(RetrievalServer(server.url, patience=patience)) as retriever:
        return await retriever.search(queries, k)


async def test_asks_as_search_r1_does_and_reads_its_passages(server):
    ((hit,),) = await search(server, "Who played Ali?", k=7)
    assert server.asked == [{"queries": ["Who played Ali?"], "topk": 7, "return_scores": True}]
    assert server.paths == ["/retrieve"]
    assert (hit.passage.title, hit.passage.text, hit.score) == ("Ali (film)", "A film of 2001.", 2.5)


@pytest.mark.parametrize(
    "document",
    [
        DOCUMENT,
        {"title": "Ali (film)", "text": "A film of 2001.", "contents": "Ali (film)\nA film of 2001."},
        {"title": "Ali (film)", "text": "A film of 2001."},
    ],
)
@pytest.mark.parametrize("scored", [True, False])
async def test_reads_every_form_of_document(server, document, scored):
    server.script = [{"result": [[{"document": document, "score": 2} if scored else document] * 2, []]}]
    first, second = await search(server, "a", "b")
    assert [hit.passage.title for hit in first] == ["Ali (film)"] * 2
    assert [hit.passage.text for hit in first] == ["A film of 2001."] * 2
    assert second == []


async def test_more_hits_than_were_asked_for_are_cut(server):
    server.script = [{"result": [[DOCUMENT] * 50]}]
    assert [len(found) for found in await search(server, "a", k=2)] == [2]


@pytest.mark.parametrize(
    "fault",
    [
        (500, {}, b"CUDA out of memory"),
        (503, {}, {"detail": "loading"}),
        (429, {"Retry-After": "0.01"}, b""),
        "hang",
        "drop",
        b"{cut",
        b"",
        (200, {"Content-Length": "1000"}, b'{"result": ['),
        {"results": []},
        {"result": []},
        {"result": [[], []]},
        {"result": {"0": []}},
        {"result": [[3]]},
        {"result": [[{"document": "text", "score": 1}]]},
        {"result": [[{"document": {"id": "7"}, "score": 1}]]},
        {"result": [[{"document": {"title": 3, "text": "x"}}]]},
        [],
        b"[" * 100_000,
        b'{"result": [["' + b"x" * (5 << 20) + b'"]]}',
    ],
    ids=lambda fault: repr(fault)[:40],
)
async def test_what_may_pass_is_tried_again(server, fault):
    server.script = [fault, GOOD]
    ((hit,),) = await search(server, "a")
    assert hit.passage.title == "Ali (film)"
    assert len(server.asked) == 2
    server.released.clear()
    server.script = [fault]
    with pytest.raises(SimulatorError, match=r"^retrieval server at 127\.0\.0\.1:\d+: [^\n]* \(3 attempts\)$"):
        await search(server, "a")
    assert len(server.asked) == 5


async def test_a_request_that_the_server_refuses_is_not_repeated(server):
    server.script = [(422, {}, {"detail": "queries: too many"})]
    with pytest.raises(SimulatorError, match=r"HTTP 422: queries: too many \(1 attempt\)"):
        await search(server, "a")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [401, 404, 405, 307])
async def test_a_wrong_address_ends_the_run(server, status):
    server.script = [(status, {"Location": "http://127.0.0.1:1/"}, {"detail": "Not Found"})]
    with pytest.raises(OutageError, match=rf"HTTP {status}: Not Found \(1 attempt\)"):
        await search(server, "a")
    assert len(server.asked) == 1


async def test_no_server_ends_the_run_at_once(server):
    server.http.server_close()
    server.url = "http://127.0.0.1:1/retrieve"
    with pytest.raises(OutageError, match="connection failed"):
        await search(server, "a")


async def test_retry_after_is_kept_and_a_long_one_is_not_waited_for(server):
    server.script = [(429, {"Retry-After": "0.2"}, b""), GOOD]
    started = time.monotonic()
    await search(server, "a")
    assert time.monotonic() - started >= 0.2
    server.script = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(SimulatorError, match=r"asks to wait 3600 s\) \(1 attempt\)"):
        await search(server, "a")


async def test_many_searches_are_answered_each_with_its_own_and_no_more_at_once_than_may(server):
    def answer(asked):
        time.sleep(0.005)
        return {"result": [[{"title": query, "text": query}] for query in asked["queries"]]}

    server.script = [answer]
    async with aclosing(RetrievalServer(server.url, patience=Patience(timeout=20))) as retriever:
        found = await asyncio.gather(*(retriever.search([f"q{number}"]) for number in range(200)))
    assert [hits[0][0].passage.title for hits in found] == [f"q{number}" for number in range(200)]
    assert 1 < server.most_at_once <= MAX_REQUESTS


async def test_as_a_tool_it_keeps_the_contract_and_its_name_says_what_it_finds(server):
    async with aclosing(RetrievalServer(server.url, "e5-base-v2 in wiki-18")) as retriever:
        tools = SearchTools(retriever)
        observed = await tools.call(SEARCH, Call(id="1", name="search", arguments={"query": "Ali"}), World("t"))
    assert tools.name == "live:retrieval-server:e5-base-v2 in wiki-18:top3"
    assert observed.content == {"results": [{"title": "Ali (film)", "text": "A film of 2001."}]}
    assert SEARCH.result_violations(observed.content) == []


def test_a_name_never_holds_a_password():
    assert RetrievalServer("http://user:secret@host:8000/retrieve").name == "retrieval-server:host:8000"
