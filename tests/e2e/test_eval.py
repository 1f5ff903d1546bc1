"""``understudy eval``: scores, kills, manifests, comparisons and the gap, as a user runs them."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager

import orjson
import pytest

import filmlibrary
from commands import files, one_line, records, run, run_as_user, run_killed, timeless, without
from understudy.lab.mistakes import Mistakes
from understudy.lab.serve import serve
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe

MISTAKES = Mistakes(wrong_tool=0.1, malformed=0.1, misspelt=0.1, wrong_answer=0.2)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Sixteen questions of the lab, whose scripted model plays policy and tools over HTTP, and errs now and then."""
    folder = tmp_path_factory.mktemp("lab")
    tasks = make_tasks(Universe(0, "train", 300), 16, 0, hops=(2, 3))
    (folder / "questions.jsonl").write_bytes(
        b"".join(orjson.dumps(task.model_dump(mode="json")) + b"\n" for task in tasks)
    )
    with serve(ScriptedModel(0, MISTAKES)) as url:
        endpoint = f'{{ base_url = "{url}", model = "scripted-lab" }}'
        (folder / "config.toml").write_text(
            f'concurrency = 4\n[questions]\npath = "{folder / "questions.jsonl"}"\n'
            f'[policy]\nkind = "endpoint"\nendpoint = {endpoint}\n'
            f'[tools]\nfacts = "evidence"\nsimulator = {endpoint}\n'
        )
        yield folder / "config.toml"


@pytest.fixture
def live(tmp_path):
    """Questions and passages about films, searched live."""
    questions, passages = filmlibrary.write(tmp_path)
    path = tmp_path / "live.toml"
    path.write_text(
        f'[questions]\npath = "{questions}"\n[policy]\nkind = "evidence"\n'
        f'[tools]\nsource = "live"\ntoolset = "search"\n[tools.search]\nkind = "memory"\npath = "{passages}"\n'
    )
    return path


def outcome(folder):
    """Everything that a run left, without times and whatever depends on order of arrival."""
    result = timeless(json.loads((folder / "result.json").read_text()))
    del result["latency"]
    lines = {
        path.name: sorted(json.dumps(timeless(line), sort_keys=True) for line in records(path))
        for path in (folder / "records.jsonl", folder / "prepared.jsonl", *(folder / "controls").iterdir())
    }
    return result, lines, json.loads((folder / "manifest.json").read_text())["pins"]


def test_a_killed_run_goes_on_to_the_same_result(config, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = run("eval", "--config", config, "--out", whole)
    assert done.returncode == 0, done.stderr
    size = sum(path.stat().st_size for path in whole.rglob("*.jsonl"))

    def grown() -> int:
        return sum(path.stat().st_size for path in killed.rglob("*.jsonl"))

    assert run_killed(
        "eval", "--config", config, "--out", killed, "--resume", "--set", "concurrency=2", size=grown, stride=size // 3
    )
    assert outcome(killed) == outcome(whole)
    before = files(killed)
    assert run("eval", "--config", config, "--out", killed, "--resume", "--set", "concurrency=2").returncode == 0
    assert files(killed) == before


def test_a_score_is_shown_with_its_controls_and_its_manifest_makes_it_again(config, tmp_path):
    done = run("eval", "--config", config, "--out", tmp_path / "one", "--set", "questions.limit=10")
    assert done.returncode == 0, done.stderr
    for shown in ("autoagent:scripted-lab · tools: simulated:scripted-lab · facts: evidence · 10 questions", "no-op",
                  "no tools", "simulator asked directly", "guessing", "calls per question", "answered"):  # fmt: skip
        assert shown in done.stdout
    result = json.loads((tmp_path / "one" / "result.json").read_text())
    assert result["em"]["value"] > result["controls"]["no_tools"]["em"]["value"]
    assert result["controls"]["noop"]["em"]["value"] == 0
    assert result["controls"]["simulator"]["policy"] == "direct:scripted-lab"
    again = run("eval", "--config", tmp_path / "one" / "manifest.json", "--out", tmp_path / "two")
    assert again.returncode == 0, again.stderr
    assert outcome(tmp_path / "one") == outcome(tmp_path / "two")
    same = run("eval", "compare", tmp_path / "one", tmp_path / "two")
    assert re.search(r"turned right: 0\nturned wrong: 0", same.stdout)


def test_two_policies_meet_the_same_tools_and_are_compared_question_by_question(config, tmp_path):
    assert run("eval", "--config", config, "--out", tmp_path / "one").returncode == 0
    other = ("eval", "--config", config, "--out", tmp_path / "two", "--set", f"tools.prepared={tmp_path / 'one'}")
    assert run(*other, "--set", "seed=1").returncode == 0
    tools = [
        {line["task_id"]: line["toolset"] for line in records(tmp_path / name / "prepared.jsonl")}
        for name in ("one", "two")
    ]
    assert tools[0] == tools[1]
    done = run("eval", "compare", tmp_path / "one", tmp_path / "two", "--json", tmp_path / "compared.json")
    assert done.returncode == 0, done.stderr
    assert "seed: was 0, now 1" in done.stdout
    compared = json.loads((tmp_path / "compared.json").read_text())
    assert compared["em"]["n"] == 16
    assert f"turned right: {len(compared['gained'])}" in done.stdout
    assert run("eval", *other[1:4], tmp_path / "three", "--set", "questions.limit=5").returncode == 0
    assert "evaluate both on the same questions" in one_line(
        run("eval", "compare", tmp_path / "one", tmp_path / "three")
    )


def test_the_ceiling_of_a_search_and_a_gap(config, live, tmp_path):
    done = run("eval", "--config", live, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "supports · tools: live:bm25-memory:24:" in done.stdout
    assert json.loads((tmp_path / "run" / "result.json").read_text())["em"]["value"] == 1
    simulator = re.search(r"simulator = (.*)", config.read_text()).group(1)
    gap = run("eval", "gap", "--config", live, "--out", tmp_path / "gap", "--set", f"tools.simulator={simulator}",
              "--set", "max_failed=1")  # fmt: skip
    assert gap.returncode == 0, gap.stderr
    assert "live − simulated" in gap.stdout
    assert json.loads((tmp_path / "gap" / "gap.json").read_text())["live"]["value"] == 1
    assert "needs toolset" in one_line(run("eval", "gap", "--config", config, "--out", tmp_path / "none"))


def test_the_labs_model_is_evaluated(config, tmp_path):
    done = run("eval", "--config", config, "--out", tmp_path, "--set", "policy={kind='lab', max_turn_tokens=40}",
               "--set", "questions.limit=2", "--set", "limits.max_tokens=80")  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert re.search(r"@[0-9a-f]{12}$", manifest["pins"]["policy"])
    assert json.loads((tmp_path / "result.json").read_text())["tokens"] > 0


def test_torch_is_needed_by_local_models_alone(live, tmp_path):
    bare = without(tmp_path, "torch", "transformers", "trl", "datasets", "pyarrow", "tokenizers", "safetensors")
    assert run_as_user("eval", "--config", live, "--out", tmp_path / "run", env=bare).returncode == 0
    local = run_as_user("eval", "--config", live, "--out", tmp_path / "model", "--set",
                        "policy={kind='model', model='org/name'}", env=bare)  # fmt: skip
    assert "run: pip install 'understudy[train]'" in one_line(local)
    hub = run_as_user("eval", "--config", live, "--out", tmp_path / "hub", "--set", "questions.path=hf:org/name",
                      env=bare)  # fmt: skip
    assert "run: pip install 'understudy[eval]'" in one_line(hub)


@contextmanager
def changed(path):
    before = path.read_text()
    path.write_text(before.replace("Red Harbour", "Blue Harbour"))
    yield
    path.write_text(before)


def test_what_is_wrong_is_one_line_and_nothing_is_lost(live, tmp_path):
    assert "--config FILE is missing" in one_line(run("eval"))
    assert "no such file" in one_line(run("eval", "--config", tmp_path / "none.toml"))
    assert "unknown key 'polcy'" in one_line(run("eval", "--config", live, "--set", "polcy.kind=gold"))
    assert 'source = "simulated" needs' in one_line(run("eval", "--config", live, "--set", "tools.source=simulated"))
    assert "not a finished evaluation" in one_line(run("eval", "compare", tmp_path, tmp_path))
    gone = "policy={kind='endpoint', endpoint={base_url='http://127.0.0.1:9/v1', model='m', attempts=1}}"
    said = one_line(run("eval", "--config", live, "--out", tmp_path / "gone", "--set", gone))
    assert "m at 127.0.0.1:9: connection failed" in said  # the run ends, and no question is blamed for it
    assert records(tmp_path / "gone" / "records.jsonl") == []
    out = tmp_path / "out"
    assert run("eval", "--config", live, "--out", out).returncode == 0
    before = files(out)
    assert "another run's results; add --resume" in one_line(run("eval", "--config", live, "--out", out))
    with changed(tmp_path / "questions.jsonl"):
        said = one_line(run("eval", "--config", live, "--out", out, "--resume"))
        assert "pins.questions: was" in said
        said = one_line(run("eval", "--config", out / "manifest.json", "--out", tmp_path / "again"))
        assert "pins.questions: the manifest is of" in said
    assert files(out) == before


def test_a_full_disk_is_one_line_and_loses_nothing(live, tmp_path):
    whole, full = tmp_path / "whole", tmp_path / "full"
    assert run("eval", "--config", live, "--out", whole).returncode == 0
    assert "can't write (file too large)" in one_line(run("eval", "--config", live, "--out", full, largest=6_000))
    assert run("eval", "--config", live, "--out", full, "--resume").returncode == 0
    assert json.loads((full / "result.json").read_text())["em"] == json.loads((whole / "result.json").read_text())["em"]
