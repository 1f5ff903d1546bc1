"""``understudy sft`` and ``understudy grpo`` with the configurations of the lab, on a folder that ``synth`` made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import one_line, run
from understudy.lab.serve import serve
from understudy.lab.teacher import ScriptedModel

ROOT = Path(__file__).parents[2]
SFT = ("sft", "--config", ROOT / "configs/lab/sft.toml")
GRPO = ("grpo", "--config", ROOT / "configs/lab/grpo.toml")
SMALL = ("prompts=2", "generations=2", "minibatches=1", "max_turn_tokens=32", "limits.max_tokens=64", "validation=1",
         "held_out=0.2", "validate_every=1", "save_every=1")  # fmt: skip


def changed(*overrides):
    return [part for override in overrides for part in ("--set", override)]


def result(folder):
    return json.loads((folder / "result.json").read_text())


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def synth(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth")
    questions = ROOT / "recipes/questions/lab.jsonl"
    done = run("synth", "--teacher", "scripted", "--questions", questions, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def trained(synth, tmp_path_factory):
    out = tmp_path_factory.mktemp("sft") / "sft"
    overrides = changed(f"traces={synth}", "epochs=1", "held_out=0.2", "save_every=1")
    done = run(*SFT, "--out", out, *overrides)
    assert done.returncode == 0, done.stderr
    assert "held out loss" in done.stdout
    return out


def test_sft_trains_the_labs_base(trained, synth):
    found = result(trained)
    assert found["trained"] + found["held_out"] == 16
    assert found["held_out"] > 0
    assert (trained / "model" / "model.safetensors").exists()
    card = (trained / "model" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\ntags: [understudy, tool-use, sft]\n---\n")
    assert f"From `lab` on `{synth}`, by training every weight." in card
    assert f"| held out | {found['held_out']} |" in card
    config = json.loads((trained / "config.json").read_text())
    assert (config["model"], config["traces"]) == ("lab", str(synth))


def test_sft_takes_a_data_set_too(synth, tmp_path):
    done = run(*SFT, "--dry-run", *changed(f"traces={synth / 'dataset'}"), "--out", tmp_path / "out")
    assert "of " + str(synth / "dataset") in done.stdout
    assert not (tmp_path / "out").exists()


def test_grpo_goes_on_where_it_was_and_simulates_as_the_run_did(trained, synth, tmp_path):
    overrides = changed(f"model={trained / 'model'}", f"tasks={synth}", *SMALL)
    out = tmp_path / "grpo"
    done = run(*GRPO, "--out", out, *overrides, "--set", "steps=1")
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "config.json").read_text())["simulator"] == "scripted"
    assert result(out)["validation"]["n"] == 1
    assert "add --resume" in one_line(run(*GRPO, "--out", out, *overrides, "--set", "steps=1"))
    refused = run(*GRPO, "--out", out, *overrides, "--set", "steps=2", "--resume")
    assert "steps: was 1, now 2" in one_line(refused)
    again = run(*GRPO, "--out", out, *overrides, "--set", "steps=1", "--resume")
    assert again.returncode == 0, again.stderr
    assert [line["step"] for line in lines(out)] == [1]


def test_grpo_simulates_on_an_endpoint(trained, synth, tmp_path):
    with serve(ScriptedModel()) as base_url:
        endpoint = changed(f'endpoint.base_url="{base_url}"', "endpoint.model=scripted-lab", "endpoint.cache=off")
        overrides = changed(f"model={trained / 'model'}", f"tasks={synth}", *SMALL, "steps=1")
        # The scripted model can't judge: every verdict fails, which stops nothing.
        judge = changed("weights.judge=0.1", *(line.replace("endpoint", "judge") for line in endpoint[1::2]))
        done = run(*GRPO, "--out", tmp_path / "out", *overrides, *endpoint, *judge)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "requests.jsonl").exists()
    assert (tmp_path / "out" / "judge.jsonl").exists()
    first = lines(tmp_path / "out")[0]
    assert first["masked"] == 0
    assert first["judge/failed"] == first["judge/asked"]


def test_a_collapsed_grpo_says_why_and_keeps_the_best_weights(trained, synth, tmp_path):
    """An absurd learning rate; what was begun can go on with a watch that only warns."""
    overrides = changed(f"model={trained / 'model'}", f"tasks={synth}", *SMALL, "validate_every=9", "steps=9", "lr=9")
    out = tmp_path / "out"
    done = run(*GRPO, "--out", out, *overrides, "--set", "watch.patience=2")
    assert done.returncode == 3, done.stderr
    found, error = result(out), done.stderr.splitlines()[-1]
    assert error.startswith("error: ")
    assert f"ended after batch {found['steps']}, {found['stopped']}; model/ is of batch 0" in error
    assert (found["steps"] < 9, found["best_step"]) == (True, 0)
    assert lines(out)[-1]["watch/strikes"] == 2
    assert f"| stopped | {found['stopped']} |" in (out / "model" / "README.md").read_text()
    on = run(*GRPO, "--out", out, *overrides, "--set", "watch.patience=0", "--resume")
    assert on.returncode == 0, on.stderr
    assert (result(out)["steps"], result(out)["stopped"]) == (9, None)


def test_bad_input_is_one_line(synth, tmp_path):
    assert "--config FILE is missing" in one_line(run("sft"))
    assert "traces is missing" in one_line(run("sft", "--set", "model=lab"))
    assert "not a run folder" in one_line(run(*GRPO, "--set", f"tasks={tmp_path}"))
    assert "can't be split" in one_line(run(*GRPO, *changed(f"tasks={synth}", "micro_batch=7")))
    assert "no argument" in one_line(run(*SFT, "--dry-run", *changed(f"traces={synth}", "trainer.colour=1")))
    assert "needs the table endpoint" in one_line(run(*GRPO, *changed(f"tasks={synth}", "simulator=endpoint")))
    nowhere = run(*SFT, "--out", tmp_path / "out", *changed(f"traces={synth}", "model=./nowhere"))
    assert "can't load a model" in one_line(nowhere)
