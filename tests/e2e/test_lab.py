"""``understudy lab serve``: the endpoint path without a key."""

from __future__ import annotations

import re
import signal
import socket

import openai
import orjson

from commands import one_line, outcomes, run, start_as_user
from understudy.lab.tasks import make_tasks
from understudy.lab.universe import Universe


def test_it_serves_until_ctrl_c_and_synth_runs_on_it(tmp_path):
    tasks = make_tasks(Universe(3, "train", 300), 6, 0, hops=(2,))
    questions = tmp_path / "questions.jsonl"
    questions.write_bytes(b"".join(orjson.dumps(task.model_dump(mode="json")) + b"\n" for task in tasks))
    with start_as_user("lab", "serve", "--port", "0") as server:
        said = server.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+/v1", said).group()
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            assert [model.id for model in client.models.list()] == ["scripted-lab"]
        done = run(
            "synth", "--teacher", "endpoint", "--base-url", url, "--model", "scripted-lab", "--questions", questions,
            "--out", tmp_path / "out",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert len(outcomes(tmp_path / "out")["traces.jsonl"]) == 6
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=10)
    assert (server.returncode, out, err) == (0, "", "")


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"can't listen on 127.0.0.1:{port} (address already in use)" in one_line(
            run("lab", "serve", "--port", port)
        )
    assert "--port" in one_line(run("lab", "serve", "--port", "65536"))
