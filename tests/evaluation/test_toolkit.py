"""Live search of every kind: in memory, on disk, and behind a server, under one contract and named in the manifest."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import filmlibrary as library
from understudy.cli.policies import open_policy
from understudy.errors import InputError
from understudy.evaluation.run import run_evaluation
from understudy.jsonl import read_json
from understudy.search.corpus import read_passages
from understudy.search.disk import DiskIndex


@pytest.fixture
def asked(tmp_path):
    return library.write(tmp_path)


@pytest.fixture
def server(asked):
    """A retrieval server: it finds the passages whose title the query names."""
    passages = list(read_passages(asked[1]))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = [[page for page in passages if page.title in query][: body["topk"]] for query in body["queries"]]
            answer = [
                [{"document": {"contents": f'"{page.title}"\n{page.text}'}, "score": 1.0} for page in one]
                for one in found
            ]
            data = json.dumps({"result": answer}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/retrieve"
        http.shutdown()
        thread.join()


def searched(asked, **search):
    return library.config(*asked, tools={"source": "live", "toolset": "search", "search": {"top_k": 2, **search}})


async def test_a_retrieval_server_is_searched_and_named(asked, server, tmp_path):
    settings = searched(asked, kind="http", url=server, finds="titles in films")
    finished = await run_evaluation(settings, tmp_path / "run", open_policy)
    assert finished.result.em.value == 1
    manifest = read_json(tmp_path / "run" / "manifest.json")
    assert manifest["pins"]["tools"] == "live:retrieval-server:titles in films:top2"
    assert (manifest["tools"]["search"]["url"], manifest["tools"]["search"]["top_k"]) == (server, 2)


async def test_an_index_on_disk_is_searched_and_a_missing_one_is_one_line(asked, tmp_path):
    DiskIndex.build(tmp_path / "index", read_passages(asked[1]))
    finished = await run_evaluation(
        searched(asked, kind="disk", path=str(tmp_path / "index")), tmp_path / "run", open_policy
    )
    assert finished.result.em.value == 1
    assert finished.manifest.pins.tools.startswith("live:bm25-disk:24:")
    with pytest.raises(InputError, match="no search index"):
        await run_evaluation(searched(asked, kind="disk", path=str(tmp_path / "none")), tmp_path / "two", open_policy)
