"""``understudy synth`` and ``validate``: real questions, an endpoint over HTTP, kills, bad input."""

from __future__ import annotations

import json
import signal
import time

import orjson
import pytest

from commands import (
    OUTCOMES,
    contents,
    files,
    one_line,
    outcomes,
    records,
    run,
    run_as_user,
    run_killed,
    start_as_user,
    without,
)
from understudy.lab.mistakes import Mistakes
from understudy.lab.serve import serve
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe

COMPARED = ("tasks.jsonl", "tools.jsonl", "toolsets.jsonl", "worlds.jsonl", *OUTCOMES)
MISTAKES = Mistakes(wrong_tool=0.1, malformed=0.1, misspelt=0.1, wrong_answer=0.1, broken_result=0.05, wrong_fact=0.05)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Twenty questions in the layout of 2WikiMultiHopQA."""
    path = tmp_path_factory.mktemp("films") / "train.jsonl"
    rows = []
    for number in range(20):
        film, person, city = f"Film Number {number}", f"Ann Ash {number}", f"Gamma {number}"
        passages = [[film, [f"{film} was directed by {person}."]], [person, [f"{person} was born in {city}."]]]
        row = {
            "_id": f"film-{number:02}", "type": "compositional", "answer": city, "context": passages,
            "question": f"Where was the director of film {film} born?", "supporting_facts": [[film, 0], [person, 0]],
            "evidences": [[film, "director", person], [person, "place of birth", city]],
        }  # fmt: skip
        rows.append(json.dumps(row))
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """Thirty questions of the lab."""
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    tasks = make_tasks(Universe(0, "train", 300), 30, 0, hops=(2, 3))
    path.write_bytes(b"".join(orjson.dumps(task.model_dump(mode="json")) + b"\n" for task in tasks))
    return path


@pytest.fixture(scope="module")
def endpoint(questions):
    """Arguments that synthesise the lab's questions on a model over HTTP that errs now and then."""
    with serve(ScriptedModel(0, MISTAKES)) as url:
        yield ("--teacher", "endpoint", "--base-url", url, "--model", "scripted-lab", "--questions", questions)


@pytest.mark.parametrize(
    ("name", "tasks", "share"), [("2wikimultihopqa_train", 500, 0.98), ("musique_train", 100, 0.95)]
)
def test_real_questions_become_traces_without_a_model(shared_data, tmp_path, name, tasks, share):
    done = run_as_user(
        "synth", "--teacher", "evidence", "--questions", shared_data / f"{name}.jsonl.gz", "--out", tmp_path
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {"tasks", "kept", "rejected", "failed", "reasons", "seconds"} <= summary.keys()
    assert summary["tasks"] == tasks
    assert summary["kept"] >= share * tasks
    ended = outcomes(tmp_path)
    assert [len(ended[name]) for name in OUTCOMES] == [summary["kept"], summary["rejected"], summary["failed"]]
    assert len({task_id for ids in ended.values() for task_id in ids}) == tasks
    assert all(record["reasons"] for record in records(tmp_path / "rejected.jsonl"))
    checked = run("validate", tmp_path)
    assert (checked.returncode, checked.stdout) == (0, f"{tmp_path}: {summary['kept']} traces, all valid\n")
    assert run("validate", tmp_path / "dataset").returncode == 0


def test_validate_names_the_line_and_exits_with_3(films, tmp_path):
    assert run("synth", "--questions", films, "--out", tmp_path, "--limit", "3").returncode == 0
    lines = (tmp_path / "traces.jsonl").read_text().splitlines()
    broken = json.loads(lines[1])
    broken["steps"][0]["turn"]["calls"][0]["arguments"] = {"unheard": "of"}
    (tmp_path / "traces.jsonl").write_text("\n".join([lines[0], json.dumps(broken), lines[2]]) + "\n")
    done = run("validate", tmp_path)
    assert "traces.jsonl:2: invalid_result: get_director" in done.stdout
    assert "in 3 traces" in one_line(done, 3)


@pytest.mark.parametrize("form", ["native", "react"])
def test_an_endpoint_over_http_makes_traces(endpoint, tmp_path, form):
    done = run("synth", *endpoint, "--out", tmp_path, "--set", f"form={form}", "--concurrency", "8")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["tasks"] == 30
    assert summary["failed"] == 0
    assert 10 <= summary["kept"] < 30
    assert summary["teacher"] == "agents:autoagent:scripted-lab"
    assert all(f"rejected: {count} × {reason}" in done.stdout for reason, count in summary["reasons"].items())
    assert run("validate", tmp_path).returncode == 0
    traces = records(tmp_path / "traces.jsonl")
    assert {trace["provenance"]["facts"] for trace in traces} == {"evidence"}
    assert {"toolmaker", "factdrafter", "toolactor"} < traces[0]["provenance"]["prompts"].keys()


def test_a_saved_configuration_makes_the_same_again(endpoint, tmp_path):
    assert run("synth", *endpoint, "--out", tmp_path / "one", "--limit", "8", "--concurrency", "3").returncode == 0
    saved = tmp_path / "one" / "config.json"
    assert json.loads(saved.read_text())["synthesis"]["concurrency"] == 3
    done = run("synth", "--config", saved, "--concurrency", "7", "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "one", COMPARED) == contents(tmp_path / "two", COMPARED)
    assert sum(map(len, outcomes(tmp_path / "two").values())) == 8


def test_flags_win_over_the_file_and_set_over_both(films, tmp_path):
    (tmp_path / "c.toml").write_text(f"questions = '{films}'\nlimit = 5\n[synthesis]\nseed = 3\nconcurrency = 2\n")
    done = run(
        "synth", "--config", tmp_path / "c.toml", "--limit", "4", "--set", "limit=2", "--set", "synthesis.attempts=1",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    saved = json.loads((tmp_path / "out" / "config.json").read_text())
    assert saved["limit"] == 2
    assert [saved["synthesis"][key] for key in ("seed", "concurrency", "attempts")] == [3, 2, 1]
    assert len(records(tmp_path / "out" / "tasks.jsonl")) == 2


def test_a_killed_run_goes_on_where_it_was(endpoint, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run("synth", *endpoint, "--out", whole).returncode == 0
    size = sum((whole / name).stat().st_size for name in OUTCOMES)

    def grown() -> int:
        return sum(path.stat().st_size for path in killed.glob("*.jsonl") if path.name in OUTCOMES)

    assert run_killed(
        "synth", *endpoint, "--out", killed, "--resume", "--concurrency", "2", size=grown, stride=size // 2
    )
    assert contents(killed, COMPARED) == contents(whole, COMPARED)
    assert (killed / "dataset" / "README.md").read_bytes() == (whole / "dataset" / "README.md").read_bytes()


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(endpoint, tmp_path):
    with start_as_user("synth", *endpoint, "--out", tmp_path, "--concurrency", "1") as child:
        while child.poll() is None and not (tmp_path / "traces.jsonl").exists():
            time.sleep(0.005)
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert err == "error: interrupted; demo, synth, sft, grpo and eval go on where they were with --resume\n"
    assert run("synth", *endpoint, "--out", tmp_path, "--resume").returncode == 0
    assert sum(map(len, outcomes(tmp_path).values())) == 30


def test_a_finished_run_is_resumed_in_no_time_and_changes_nothing(films, tmp_path):
    assert run("synth", "--questions", films, "--out", tmp_path).returncode == 0
    before = files(tmp_path)
    done = run("synth", "--questions", films, "--out", tmp_path, "--resume", "--concurrency", "3")
    assert done.returncode == 0
    assert files(tmp_path) == before


def test_another_runs_folder_is_left_as_it_is(films, tmp_path):
    out = tmp_path / "out"
    assert run("synth", "--questions", films, "--out", out, "--limit", "5").returncode == 0
    before = files(out)
    again = ("synth", "--questions", films, "--out", out)
    assert "another run's results; add --resume or choose another folder" in one_line(run(*again))
    changed = one_line(run(*again, "--resume", "--limit", "6", "--set", "synthesis.seed=1"))
    assert "configuration changed: limit: was 5, now 6; synthesis.seed: was 0, now 1" in changed
    assert "another run's results" in one_line(run("demo", "--out", out))
    assert "configuration changed" in one_line(run("demo", "--out", out, "--resume"))
    assert files(out) == before


def test_a_start_that_left_nothing_is_no_other_run(films, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert run("synth", "--questions", films, "--out", tmp_path, "--limit", "2").returncode == 0


def test_a_full_disk_is_one_line_and_loses_nothing(films, tmp_path):
    whole, full = tmp_path / "whole", tmp_path / "full"
    arguments = ("synth", "--questions", films, "--out")
    assert run(*arguments, whole).returncode == 0
    done = run(*arguments, full, largest=8_000)
    assert "can't write (file too large); free space or choose another folder" in one_line(done)
    assert run(*arguments, full, "--resume").returncode == 0
    assert contents(full, COMPARED) == contents(whole, COMPARED)


def test_who_has_only_an_endpoint_needs_no_torch_and_no_datasets(films, tmp_path):
    missing = ("torch", "transformers", "trl", "datasets", "pyarrow", "tokenizers", "safetensors", "accelerate")
    bare, out = without(tmp_path, *missing), tmp_path / "out"
    done = run_as_user("synth", "--teacher", "evidence", "--questions", films, "--out", out, env=bare)
    assert done.returncode == 0, done.stderr
    assert len(records(out / "traces.jsonl")) == 20
    assert done.stderr.splitlines()[-1] == (
        f"{out / 'dataset'} is not written: datasets is not installed; run: pip install 'understudy[eval]', "
        "and the same command with --resume"
    )
    assert not (out / "dataset").exists()
    assert run_as_user("validate", out, env=bare).returncode == 0
    assert run("synth", "--questions", films, "--out", out, "--resume").returncode == 0
    assert run("validate", out / "dataset").returncode == 0
    assert "pip install 'understudy[eval]'" in one_line(run_as_user("validate", out / "dataset", env=bare))
