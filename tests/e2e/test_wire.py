"""What really goes over HTTP while a data set is made: no simulator ever sees a question, and nobody an answer."""

from __future__ import annotations

import csv

import orjson
import pytest

from commands import records, run
from understudy.agents.prompt import load
from understudy.lab.serve import serve
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.llm.protocol import ChatReply, ChatRequest

SENTINEL = "qvzx-accepted-answer"


class Recorded:
    """A model that keeps every request as it arrives at the server."""

    name = "recorded"

    def __init__(self) -> None:
        self._model = ScriptedModel(0)
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        return await self._model.complete(request)


def role(request: ChatRequest) -> str:
    """Whose system message it is; on the wire a request says so in no other way."""
    names = ("toolmaker", "factdrafter", "toolactor", "autoagent")
    return next(name for name in names if request.messages[0]["content"] == load(name).text)


@pytest.mark.parametrize("evidence", [True, False], ids=["with evidence", "questions and answers alone"])
def test_the_simulator_sees_no_question_and_nobody_an_answer(tmp_path, evidence):
    tasks = [
        task.model_copy(update={"answers": (SENTINEL, *task.answers)})
        for task in make_tasks(Universe(0, "train", 300), 12, 0)
    ]
    questions = tmp_path / ("questions.jsonl" if evidence else "questions.csv")
    if evidence:
        questions.write_bytes(b"\n".join(orjson.dumps(task.model_dump(mode="json")) for task in tasks))
    else:
        with questions.open("w", newline="") as file:
            csv.writer(file).writerows([("question", "answer"), *((task.question, task.answers[0]) for task in tasks)])
    model = Recorded()
    with serve(model) as url:
        done = run(
            "synth", "--teacher", "endpoint", "--base-url", url, "--model", "recorded", "--questions", questions,
            "--out", tmp_path / "out",
        )  # fmt: skip
    assert len(records(tmp_path / "out" / "tasks.jsonl")) == 12, done.stderr
    assert model.requests, done.stdout + done.stderr
    drafters = set() if evidence else {"factdrafter"}
    assert {"toolmaker", "autoagent", "toolactor"} | drafters == set(map(role, model.requests))
    for request in model.requests:
        sent = orjson.dumps([request.messages, request.tools]).decode()
        assert SENTINEL not in sent
        if role(request) == "toolactor":
            assert not any(task.question in sent for task in tasks)
