"""``understudy synth`` on an endpoint that fails, is asked again, goes away, and has a model for each role."""

from __future__ import annotations

import json
import random
import time

import orjson
import pytest

from commands import OUTCOMES, Command, contents, one_line, outcomes, records, run
from faulty import CONTENT_FAULTS, WIRE_FAULTS, FaultyServer
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import AUTOAGENT, TOOLACTOR, ScriptedModel
from understudy.lab.universe import Universe

COMPARED = ("tasks.jsonl", "tools.jsonl", "toolsets.jsonl", "worlds.jsonl", *OUTCOMES)
EXPENSES = ("requests", "tokens", "cost")
COUNT = 40


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """Questions of the lab."""
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    tasks = make_tasks(Universe(0, "train", 300), COUNT, 0, hops=(2, 3))
    path.write_bytes(b"".join(orjson.dumps(task.model_dump(mode="json")) + b"\n" for task in tasks))
    return path


@pytest.fixture
def arguments(questions, tmp_path):
    """What asks an endpoint patiently, with a cache of its own: a function of the endpoint's URL and changes."""

    def asking(url, **changes):
        price, cache = "{prompt=1.0,completion=3.0}", tmp_path / "cache"
        settings = {"timeout": 3, "backoff": 0.01, "attempts": 30, "price": price, "cache": cache, **changes}
        sets = [argument for key, value in settings.items() for argument in ("--set", f"endpoint.{key}={value}")]
        where = ("--base-url", url, "--model", "scripted-lab", "--questions", questions)
        return ("synth", "--teacher", "endpoint", *where, *sets)

    return asking


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def expenses(folder):
    return {key: summary(folder)[key] for key in EXPENSES}


def exactly_once(folder):
    ended = [task_id for ids in outcomes(folder).values() for task_id in ids]
    return len(ended) == len(set(ended)) == COUNT


def test_a_third_of_all_answers_may_be_faulty_and_nothing_is_lost(arguments, tmp_path):
    server = FaultyServer(ScriptedModel(0), wire=0.2, content=0.17)
    with server.serve() as url:
        done = run(*arguments(url, attempts=4, timeout=0.4), "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert set(server.faults) == {*WIRE_FAULTS, *CONTENT_FAULTS}
    assert sum(server.faults.values()) > sum(server.answered.values()) / 4
    assert exactly_once(tmp_path / "out")
    assert summary(tmp_path / "out")["kept"] > 0
    assert run("validate", tmp_path / "out").returncode == 0


@pytest.mark.parametrize("kind", [*WIRE_FAULTS, *CONTENT_FAULTS])
def test_a_server_that_only_fails_fails_every_task_and_says_so(arguments, tmp_path, kind):
    with FaultyServer(ScriptedModel(0), wire=1.0, content=1.0, only=kind).serve() as url:
        impatient = arguments(url, attempts=2, timeout=0.2)
        done = run(*impatient, "--out", tmp_path, "--concurrency", "40", "--set", "synthesis.max_failed=0.5")
    assert done.returncode == 3
    assert f"max_failed: {COUNT} of {COUNT} tasks failed; 50.0% are allowed" in done.stderr
    assert exactly_once(tmp_path)
    assert summary(tmp_path)["failed"] == COUNT


def test_killed_at_any_moment_it_ends_in_the_same_and_asks_nothing_twice(arguments, tmp_path):
    server = FaultyServer(ScriptedModel(0), wire=0.15, content=0.1)
    with server.serve() as url:
        assert run(*arguments(url), "--out", tmp_path / "whole").returncode == 0
    answers, killed = sum(server.answered.values()), tmp_path / "killed"
    again, draw, kills = FaultyServer(ScriptedModel(0), wire=0.15, content=0.1), random.Random(0), 0
    with again.serve() as url:  # on another port, so to the cache it is another server
        while True:
            enough = sum(again.answered.values()) + draw.randrange(1, answers // 3)
            command = Command(*arguments(url), "--out", killed, "--resume", "--concurrency", "4")
            while command.running and sum(again.answered.values()) < enough:
                time.sleep(0.002)
            command.kill()
            if (done := command.wait()).returncode != -9:
                break
            kills += 1
    assert done.returncode == 0, done.stderr
    assert kills > 1
    assert contents(killed, COMPARED) == contents(tmp_path / "whole", COMPARED)
    assert expenses(killed) == expenses(tmp_path / "whole")
    assert summary(killed)["requests"] == len(records(killed / "requests.jsonl")) == len(again.answered)
    # What was under way when it was killed had no answer yet, and is asked again; nothing else is.
    assert sum(again.answered.values()) - len(again.answered) <= 8 * kills


def test_a_repeated_run_asks_nothing_and_costs_nothing(arguments, tmp_path):
    server = FaultyServer(ScriptedModel(0))
    with server.serve() as url:
        assert run(*arguments(url), "--out", tmp_path / "one").returncode == 0
        asked = sum(server.answered.values())
        assert run(*arguments(url), "--out", tmp_path / "two").returncode == 0
    assert sum(server.answered.values()) == asked
    assert contents(tmp_path / "one", COMPARED) == contents(tmp_path / "two", COMPARED)
    paid = expenses(tmp_path / "one")
    assert paid["requests"] == asked
    assert set(paid["tokens"]) == set(paid["cost"]) >= {"toolmaker", "toolactor", "autoagent"}
    assert all(1e-6 * tokens <= paid["cost"][role] <= 3e-6 * tokens for role, tokens in paid["tokens"].items())
    assert expenses(tmp_path / "two") == {"requests": 0, "tokens": {}, "cost": {}}


def test_a_server_that_is_not_there_ends_the_run_at_once_and_owes_all_tasks(arguments, tmp_path):
    done = run(*arguments("http://127.0.0.1:9/v1", backoff=60), "--out", tmp_path)
    assert "scripted-lab at 127.0.0.1:9: connection failed" in one_line(done)
    assert sum(map(len, outcomes(tmp_path).values())) == 0


def test_a_server_that_goes_away_ends_the_run_and_owes_the_rest(arguments, tmp_path):
    server = FaultyServer(ScriptedModel(0))
    with server.serve() as url:
        asking = (*arguments(url, attempts=3), "--out", tmp_path, "--concurrency", "2")
        command = Command(*asking)
        while command.running and sum(server.answered.values()) < 60:
            time.sleep(0.002)
    assert "connection" in one_line(command.wait())
    ended = outcomes(tmp_path)
    assert 0 < len(ended["traces.jsonl"]) < COUNT
    assert ended["failures.jsonl"] == []
    with FaultyServer(ScriptedModel(0), port=server.port).serve():
        assert run(*asking, "--resume").returncode == 0
    assert exactly_once(tmp_path)
    assert summary(tmp_path)["failed"] == 0


def test_a_missing_key_is_told_before_anything_is_written(arguments, tmp_path):
    done = run(*arguments("http://127.0.0.1:9/v1", api_key_env="NO_SUCH_KEY"), "--out", tmp_path)
    assert "NO_SUCH_KEY holds no API key" in one_line(done)
    assert not (tmp_path / "traces.jsonl").exists()


def test_a_role_may_have_a_model_of_its_own_and_concurrency_reaches_the_table(questions, tmp_path):
    server, config, out = FaultyServer(ScriptedModel(0)), tmp_path / "c.toml", tmp_path / "out"
    with server.serve() as url:
        config.write_text(
            f"questions = '{questions}'\nteacher = 'endpoint'\n"
            f"[endpoint]\nbase_url = '{url}'\nmodel = 'large'\nconcurrency = 1\nprice = {{prompt = 9.0}}\n"
            "[endpoint.roles.toolactor]\nmodel = 'small'\nprice = {prompt = 0.1}\n"
        )
        done = run("synth", "--config", config, "--out", out, "--concurrency", "5")
    assert done.returncode == 0, done.stderr
    assert {name for name, role in server.names if role == TOOLACTOR} == {"small"}
    assert {name for name, role in server.names if role == AUTOAGENT} == {"large"}
    provenance = records(out / "traces.jsonl")[0]["provenance"]
    assert provenance["policy"].endswith(":large")
    assert "small" in provenance["tools"]
    saved = json.loads((out / "config.json").read_text())
    assert saved["endpoint"]["concurrency"] == saved["synthesis"]["concurrency"] == 5
    paid = expenses(out)
    assert paid["cost"]["toolactor"] < 1e-6 * paid["tokens"]["toolactor"]
    assert paid["cost"]["autoagent"] > 1e-6 * paid["tokens"]["autoagent"]
    changed = ("--resume", "--concurrency", "9", "--set", "endpoint.roles.toolactor.model=other")
    refused = one_line(run("synth", "--config", config, "--out", out, *changed))
    assert "endpoint.roles.toolactor.model: was 'small', now 'other'" in refused
    assert "concurrency" not in refused


def test_progress_has_speed_and_money(arguments, tmp_path):
    with FaultyServer(ScriptedModel(0)).serve() as url:
        done = run(*arguments(url), "--out", tmp_path)
    told = next(line for line in done.stderr.splitlines() if line.startswith(f"synthesis: {COUNT}/{COUNT}  kept "))
    assert all(f"  {figure} " in told for figure in ("rejected", "failed", "traces/s", "tokens", "cost", "done in"))
