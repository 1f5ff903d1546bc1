"""``understudy ask``: a rollout told as it happens, in text that steers no terminal; mistakes are one line."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

import filmlibrary
from handmade import TASK
from strategies import CONTRACT
from understudy.agents.autoagent import AutoAgent
from understudy.cli.watching import MOST, Watched, plain
from understudy.evaluation.controls import NoTools
from understudy.lab.serve import serve
from understudy.lab.teacher import ScriptedModel
from understudy.llm.scripted import ScriptedChat
from understudy.rollout import Limits, rollout
from understudy.search.corpus import read_passages
from understudy.search.disk import DiskIndex
from understudy.trace import Observation, Source, Stop, Trace
from understudy.world import World

QUESTION = "Who is the founder of the studio of the film Nulpom Melbit?"
NASTY = "a[red]b[/red]\x1b[31m\x9b\u202e\r\nanswer    forged"


def calls(*asked):
    """The message of a turn that calls tools."""
    functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in asked]
    listed = [{"id": str(index), "type": "function", "function": one} for index, one in enumerate(functions)]
    return {"role": "assistant", "content": "<think>I look.</think>", "tool_calls": listed}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """The lab's scripted model as an endpoint, and an empty folder to be in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with serve(ScriptedModel()) as url:
        yield url


def test_thoughts_calls_results_and_the_answer_are_shown_in_order_and_kept(run, lab, tmp_path):
    kept = tmp_path / "trace.json"
    code, out, err = run(
        "ask", "scripted-lab", QUESTION, "--base-url", lab, "--simulator", "lab", "--json", kept
    )  # fmt: skip
    assert (code, err) == (0, "")
    lines = out.splitlines()
    labels = ["asked", "offered", "thought", "call", "result", "thought", "call", "result", "thought", "answer", "stop"]
    assert [line.split()[0] for line in lines] == labels
    assert lines[0].endswith("autoagent:scripted-lab · tools: simulated:scripted-lab · facts: drafted")
    trace = Trace.model_validate(json.loads(kept.read_text()))
    assert lines[-2] == f"answer    {trace.answer}"
    assert lines[-1] == f"stop      answered · 2 calls · {trace.provenance.seconds:.1f} s"
    assert lines[1] == f"offered   {', '.join(contract.name for contract in trace.toolset)}"
    assert trace.question == QUESTION
    assert {"autoagent", "toolactor"} <= set(trace.provenance.prompts)  # being watched hides no prompt


def test_a_simulator_behind_an_endpoint_and_the_settings_without_an_option(run, lab):
    simulator = ("--simulator-url", lab, "--simulator-model", "scripted-lab", "--set", "tools.simulator.cache=off")
    asked = ("ask", "scripted-lab", QUESTION, "--base-url", lab, *simulator)
    assert "facts: none" in run(*asked)[1]  # nothing is known, so the scripted ToolActor finds nothing
    _, out, _ = run(*asked, "--set", "tools.facts=drafted", "--set", "policy.form=react")
    assert "facts: drafted" in out
    assert "answered · 2 calls" in out


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_live_search(run, lab, tmp_path, kind):
    _, place = filmlibrary.write(tmp_path)
    if kind == "disk":
        DiskIndex.build(tmp_path / "index", read_passages(place))
        place = tmp_path / "index"
    script = [calls(("search", {"query": "Who directed Red Harbour?"})), "<answer>somebody</answer>"]
    with serve(ScriptedChat(script)) as url:
        code, out, err = run("ask", "scripted", "Who?", "--base-url", url, "--search", place)
    assert (code, err) == (0, "")
    assert f"tools: live:bm25-{kind}:" in out
    assert 'result    search: {"results":[{"title":"Red Harbour' in out


def test_without_tools_and_without_an_answer(run, lab):
    script = ["what?", "<think>", calls(("search", {"query": "x"})), "prose again"]
    with serve(ScriptedChat(script)) as url:
        code, out, err = run("ask", "scripted", "Who?", "--base-url", url, "--tools", "none")
    assert (code, err) == (0, "")  # a bad rollout is no failure of the command
    lines = out.splitlines()
    assert lines[1] == "offered   nothing"
    assert sum(line.startswith("malformed ") for line in lines) == 3
    assert sum(line.startswith("error     search: ") for line in lines) == 1
    assert lines[-1].startswith("stop      malformed: stray_text: ")
    assert " · 1 call · " in lines[-1]


async def test_every_part_is_shown_before_the_next_one_is_waited_for():
    said = io.StringIO()
    before: dict[str, str] = {}

    def think(request):
        before[f"step {len(request.messages)}"] = said.getvalue()
        return calls((CONTRACT.name, {"film": "Ali"})) if len(before) == 1 else "<answer>B</answer>"

    class Tools:
        name = "tools"

        def source_of(self, contract):
            return Source.SIMULATED

        async def call(self, contract, call, world):
            before["call"] = said.getvalue()
            return Observation(call_id=call.id, name=call.name, content={"director": "B"}, source=Source.SIMULATED)

    policy = Watched(AutoAgent(ScriptedChat(think)), Console(file=said, width=20))
    trace = await rollout(TASK, (CONTRACT,), World("t"), policy, Tools(), Limits(), 0)
    assert trace.stop is Stop.ANSWERED
    thought = "thought   I look.\n"
    call = f'call      {CONTRACT.name} {{"film":"Ali"}}\n'
    result = f'result    {CONTRACT.name}: {{"director":"B"}}\n'
    assert list(before.values()) == ["", thought + call, thought + call + result]
    assert said.getvalue() == thought + call + result + "answer    B\n"


async def test_what_models_and_tools_say_is_shown_and_not_obeyed():
    said = io.StringIO()
    # What is no valid turn, a thought, a call's name and arguments, an answer: each of them is the model's.
    turn = calls((NASTY, {NASTY: NASTY}))
    script = [NASTY, {**turn, "content": f"<think>{NASTY}</think>"}, f"<answer>{NASTY}</answer>"]
    console = Console(file=said, width=80, force_terminal=True, color_system=None)
    policy = Watched(AutoAgent(ScriptedChat(script)), console)
    trace = await rollout(TASK, (CONTRACT,), World("t"), policy, NoTools(), Limits(), 0)
    assert trace.answer.replace("\n", "") == NASTY.replace("\n", "")
    assert not set(said.getvalue()) & set("\x1b\x9b\u202e\r")
    assert said.getvalue().count("a[red]b[/red]\\x1b[31m\\x9b\\u202e\\r") >= 4
    assert "answer    forged" not in said.getvalue().splitlines()


def test_letters_and_spaces_of_other_languages_stay_and_what_is_unseen_is_written_out():
    prose = "Größe 1\u202f300\xa0km, 東京\u3000です, Ελλάδα\n“été”"
    assert plain(prose) == prose
    assert plain("\t\x00\x7f\x85\u200b\u2028\ud800") == "\\t\\x00\\x7f\\x85\\u200b\\u2028\\ud800"


async def test_long_calls_are_shown_in_part():
    said = io.StringIO()
    long = "x" * (MOST + 500)
    policy = Watched(
        AutoAgent(ScriptedChat([calls((CONTRACT.name, {"film": long})), "<answer>B</answer>"])), Console(file=said)
    )
    trace = await rollout(TASK, (), World("t"), policy, NoTools(), Limits(), 0)
    assert trace.steps[0].turn.calls[0].arguments == {"film": long}
    line = next(line for line in said.getvalue().splitlines() if line.startswith("call"))
    assert MOST < len(line) < MOST + 100
    assert line.endswith(" more characters)")


NOT_BOTH = "say who answers calls, by one of --simulator-url URL, --simulator lab, --search PLACE, --tools none; said: "


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'model'"),
        (["m"], "Missing argument 'question'"),
        (["m", " ", "--tools", "none"], "the question is empty"),
        (["m", "Who?"], NOT_BOTH + "none"),
        (["m", "Who?", "--tools", "none", "--search", "x"], NOT_BOTH + "--search PLACE, --tools none"),
        (["m", "Who?", "--tools", "some"], "'some' is not one of 'none'"),
        (["m", "Who?", "--simulator-url", "http://x/v1"], "--simulator-url and --simulator-model go together"),
        (["m", "Who?", "--tools", "none", "--simulator-model", "x"], "--simulator-model go together"),
        (["m", "Who directed Ali?", "--simulator", "lab"], "--simulator lab plays tools for the lab's own questions"),
        (["m", "Who?", "--tools", "none", "--base-url", "ftp://x"], "policy.endpoint.base_url: String should match"),
        (["m", "Who?", "--tools", "none", "--set", "polcy.kind=lab"], "unknown key 'polcy'; known keys: limits"),
        (["m", "Who?", "--tools", "none", "--set", "policy.kind=gold"], "policy.kind = \"gold\" can't be asked"),
        (["m", "Who?", "--tools", "none", "--set", "tools.prepared=x"], "tools.prepared: the tools of other questions"),
        (["m", "Who?", "--base-url", "URL", "--search", "absent.jsonl"], "absent.jsonl: no such file"),
        (["m", "Who?", "--base-url", "URL", "--tools", "none", "--set", "policy.endpoint.api_key_env=NO_SUCH_KEY"],
         "environment variable NO_SUCH_KEY holds no API key"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(run, lab, tmp_path, arguments, message):
    code, out, err = run("ask", *(lab if argument == "URL" else argument for argument in arguments))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize(
    ("model", "tools", "message"),
    [
        ("other", ["--tools", "none"], "HTTP 404: there is no model 'other'"),
        ("scripted-lab", ["--search", "http://127.0.0.1:9/retrieve"], "retrieval server at 127.0.0.1:9: connection"),
        ("scripted-lab", ["--simulator-url", "http://127.0.0.1:9/v1", "--simulator-model", "m"], "m at 127.0.0.1:9"),
        ("scripted-lab", ["--tools", "none", "--json", "FILE/trace.json"], "file"),
    ],
)
def test_a_server_that_is_gone_and_a_file_that_cant_be_written_are_one_line(run, lab, tmp_path, model, tools, message):
    (tmp_path / "file").touch()
    tools = [word.replace("FILE", str(tmp_path / "file")) for word in tools]
    code, _, err = run("ask", model, QUESTION, "--base-url", lab, *tools)
    assert code == 2
    assert err.count("\n") == 1
    assert message in err
