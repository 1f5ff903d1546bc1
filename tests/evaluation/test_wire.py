"""What leaves the machine: with ``facts = none``, no request carries an accepted answer or anything of the evidence."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from understudy.cli.policies import open_policy
from understudy.config import build
from understudy.evaluation.gap import run_gap
from understudy.evaluation.run import run_evaluation
from understudy.evaluation.settings import EvalConfig

TEXT = {"type": "string"}
TOOL = {
    "description": "Look up one thing of another thing.",
    "parameters": {"type": "object", "properties": {"thing": TEXT}, "required": ["thing"]},
    "returns": {"type": "object", "properties": {"found": TEXT}, "required": ["found"]},
}
SECRETS = ("GOLDANSWER", "GOLDALIAS", "EVIDENCETITLE", "EVIDENCETEXT", "HOPQUESTION", "HOPANSWER", "FACTOBJECT")


def played(body: dict) -> dict:
    """A reply in whatever role is asked for; as AutoAgent one call of the first tool, then an answer."""
    system = body["messages"][0]["content"]
    if system.startswith("You are the ToolMaker."):
        tools = [{"name": f"get_thing_{letter}", **TOOL} for letter in "abc"]
        return {"content": json.dumps({"kind": "bridge", "utilities": [], "tools": tools})}
    if system.startswith("You are the FactDrafter."):
        fact = {"subject": "Anything", "relation": "maker", "object": "Somebody"}
        return {"content": json.dumps({"facts": [fact]})}
    if system.startswith("You are the ToolActor."):
        tool = json.loads(body["messages"][1]["content"])["tool"]["name"]
        passage = {"title": "Something", "text": "Something was made."}
        return {"content": json.dumps({"results": [passage]} if tool == "search" else {"found": "something"})}
    if body.get("tools") and body["messages"][-1]["role"] == "user":
        function = body["tools"][0]["function"]
        arguments = {next(iter(function["parameters"]["properties"])): "the river"}
        call = {"name": function["name"], "arguments": json.dumps(arguments)}
        return {"content": "I look.", "tool_calls": [{"id": "1", "type": "function", "function": call}]}
    return {"content": "<answer>perhaps</answer>"}


@asynccontextmanager
async def watched():
    """A loopback endpoint, and every byte that came to it."""
    heard, connections = [], []

    async def handle(reader, writer):
        connections.append(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                )
                body = await reader.readexactly(length)
                heard.append(head + body)
                message = {"role": "assistant", **played(json.loads(body))}
                usage = {"prompt_tokens": 100, "completion_tokens": 10}
                data = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
                )
                writer.write(data)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", heard
        await asyncio.gather(*connections)  # the client has hung up


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "tasks.jsonl"
    rows = [
        {
            "id": f"t{number}", "question": f"Who lives at river {number}?", "split": "", "source": "musique",
            "answers": [f"GOLDANSWER {number}", f"GOLDALIAS {number}"],
            "evidence": {
                "passages": [{"title": "EVIDENCETITLE", "text": "EVIDENCETEXT", "supporting": True}],
                "facts": [{"subject": "river", "relation": "lives at", "object": "FACTOBJECT"}],
                "hops": [{"question": "HOPQUESTION", "answer": "HOPANSWER", "title": "EVIDENCETITLE"}],
            },
        }
        for number in range(6)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def config(questions, url, **tools) -> EvalConfig:
    endpoint = {"base_url": url, "model": "m", "price": {"prompt": 1.0, "completion": 2.0}}
    values = {
        "questions": {"path": str(questions)},
        "policy": {"kind": "endpoint", "endpoint": endpoint},
        "tools": {"simulator": endpoint, **tools},
    }
    return build(EvalConfig, values, "test")


@pytest.mark.parametrize("toolset", ["generated", "search"])
async def test_without_facts_no_request_carries_answers_or_evidence(questions, tmp_path, toolset):
    async with watched() as (url, heard):
        settings = config(questions, url, toolset=toolset)
        finished = await run_evaluation(settings, tmp_path / "run", open_policy)
    assert finished.result.facts == "none"
    assert finished.result.calls.value == 1
    assert (finished.result.prompted, finished.result.tokens) == (6 * 200, 6 * 20)
    assert finished.result.cost == pytest.approx(6 * (200 * 1.0 + 20 * 2.0) / 1e6)
    paid = [json.loads(line)["role"] for line in (tmp_path / "run" / "requests.jsonl").read_text().splitlines()]
    assert paid.count("toolactor") == paid.count("autoagent") == 6  # a call, and the simulator asked directly
    assert {record.prediction for record in finished.result.records} == {"perhaps"}
    assert finished.controls.simulator.policy == "direct:m"
    said = b"".join(heard).decode()
    assert "river 5" in said
    for role in ("ToolActor", "AutoAgent", *(["ToolMaker"] if toolset == "generated" else [])):
        assert f"You are the {role}." in said
    assert [secret for secret in SECRETS if secret in said] == []
    assert len(heard) == 6 * (2 + 1 + 1 + 1 + (toolset == "generated"))  # two turns, a call, two controls, the tools


async def test_the_watch_would_notice(questions, tmp_path):
    async with watched() as (url, heard):
        settings = config(questions, url, toolset="search", facts="evidence")
        finished = await run_evaluation(settings, tmp_path / "run", open_policy)
    assert finished.result.facts == "evidence"
    assert "FACTOBJECT" in b"".join(heard).decode()


async def test_drafted_facts_are_drafted_from_the_question_alone(questions, tmp_path):
    async with watched() as (url, heard):
        settings = config(questions, url, toolset="search", facts="drafted")
        finished = await run_evaluation(settings, tmp_path / "run", open_policy)
    assert finished.result.facts == "drafted"
    said = b"".join(heard).decode()
    assert "You are the FactDrafter." in said
    assert [secret for secret in SECRETS if secret in said] == []


async def test_the_gap_compares_both_sides_and_says_how_observations_agree(questions, tmp_path):
    passages = tmp_path / "passages.jsonl"
    passages.write_text(json.dumps({"title": "The river", "text": "The river was made."}) + "\n")
    search = {"kind": "memory", "path": str(passages)}
    async with watched() as (url, heard):
        found = await run_gap(config(questions, url, toolset="search", search=search), tmp_path, open_policy)
    assert (found.simulated.value, found.live.value, found.difference.em.value) == (0, 0, 0)
    assert found.observations.shared.value == 1  # the same call on both sides
    assert found.observations.status.value == 1
    assert 0 < found.observations.words.value < 1
    written = json.loads((tmp_path / "gap.json").read_text())
    assert written["observations"]["words"]["n"] == 6
    assert (tmp_path / "simulated" / "manifest.json").exists()
    assert (tmp_path / "live" / "result.json").exists()
    assert [secret for secret in SECRETS if secret in b"".join(heard).decode()] == []
