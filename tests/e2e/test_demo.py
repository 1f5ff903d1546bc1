"""``understudy demo`` at reduced size: every stage, killed in each of them, and damaged in between."""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest

from commands import OUTCOMES, Command, contents, files, one_line, records, run, run_as_user, timeless, without
from understudy.lab.base.model import weights_dir
from understudy.metric import Metric

CONFIG = """
entities = 300
trace_questions = 40
trace_kinds = ["bridge", "comparison"]
trace_hops = [2]
train_questions = 12
test_questions = 6
limits = {max_turns = 3, max_tokens = 140, max_faults = 2}
sft = {epochs = 3, batch_size = 2, lr = 5e-3, save_every = 16}
grpo = {steps = 2, prompts = 4, generations = 4, save_every = 1}
"""
EVALUATIONS = ("base", "base_live", "sft", "sft_live", "grpo", "grpo_live", "no_tools", "noop")
KILLS = (
    "synth/*.jsonl", "sft/metrics.jsonl", "sft/checkpoints/*/*", "sft/model/*", "grpo/metrics.jsonl",
    "grpo/checkpoints/*/*", "grpo/model/*", "eval/*.jsonl", "eval/*.jsonl", "report.json",
)  # fmt: skip
"""Files whose change a kill waits for, in the order in which they are written."""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "demo.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """The folder of an unbroken run."""
    out = tmp_path_factory.mktemp("whole")
    done = run("demo", "--out", out, "--config", config, "--seed", "5")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of that folder, to be damaged."""
    return shutil.copytree(whole, tmp_path / "copy")


def report(folder: Path):
    return json.loads((folder / "report.json").read_text())


def weights(folder: Path, stage: str, where: str = "model") -> bytes:
    """The weights that a stage saved."""
    return b"".join(path.read_bytes() for path in sorted((folder / stage).glob(f"{where}/model.safetensors")))


def owe(folder: Path, *stages: str) -> None:
    """Make stages owed again, as if a kill had come before their end."""
    path = folder / "stages.json"
    done = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in done.items() if name not in stages}))


def test_the_report_has_what_was_promised(whole):
    found = report(whole)
    assert found["em"].keys() == {"base", "sft", "grpo", "no_tools", "noop"}
    assert found["em_live"].keys() == {"base", "sft", "grpo"}
    for metric in (*found["em"].values(), *found["em_live"].values()):
        assert metric.keys() == {"value", "n", "ci95"}
        assert metric["ci95"][0] <= metric["value"] <= metric["ci95"][1]
        assert Metric(**metric).n == 6
    assert found["em"]["noop"]["value"] == 0
    assert found["seed"] == 5
    assert {"understudy", "python", "torch", "trl", "transformers"} <= found["versions"].keys()
    seconds = found["seconds"]
    assert seconds.keys() == {"synthesis", "sft", "grpo", *(f"eval_{name}" for name in EVALUATIONS), "total"}
    assert seconds["total"] >= sum(seconds[stage] for stage in ("synthesis", "sft", "grpo")) - 0.1
    traces, summary = found["traces"], json.loads((whole / "synth" / "summary.json").read_text())
    assert traces.keys() == {"synthesised", "kept", "rejected"}
    assert (traces["synthesised"], traces["kept"], traces["rejected"]) == (40, summary["kept"], summary["reasons"])
    assert [len(records(whole / "synth" / name)) for name in OUTCOMES] == [
        summary["kept"], summary["rejected"], summary["failed"],
    ]  # fmt: skip
    assert traces["kept"] > 20
    assert traces["rejected"]


def test_the_page_needs_nothing_else(whole):
    page = (whole / "report.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?(?!["'#]|data:)""", page)
    assert not re.search(r"<script|<link|@import|url\((?!data:)", page)


def test_training_does_something(whole):
    losses = [line["loss"] for line in records(whole / "sft" / "metrics.jsonl") if "loss" in line]
    assert losses[-1] < 0.5 * losses[0]
    steps = records(whole / "grpo" / "metrics.jsonl")
    assert sum("reward" in line for line in steps) == 2
    assert weights(whole, "sft") != (weights_dir() / "model.safetensors").read_bytes()


def test_a_finished_run_is_shown_again_in_no_time_and_stays_as_it_is(whole, config, tmp_path):
    before = files(whole)
    again = ("demo", "--out", whole, "--config", config, "--seed", "5")
    done = run_as_user(*again, "--resume", env=without(tmp_path, "torch"))  # so it can't have done any work
    assert done.returncode == 0, done.stderr
    assert f"report: {whole / 'report.html'}" in done.stdout
    assert "another run's results; add --resume" in one_line(run(*again))
    assert "seed: was 5, now 6" in one_line(run(*again[:-1], "6", "--resume"))
    assert files(whole) == before


def test_a_run_that_is_killed_again_and_again_ends_in_the_same_report(whole, config, tmp_path):
    draw, kills = random.Random(0), 0

    def state(pattern: str) -> list[tuple[int, int]]:
        with suppress(FileNotFoundError):  # replaced just now
            found = [path.stat() for path in tmp_path.glob(pattern)]
            return [(status.st_size, status.st_mtime_ns) for status in found]
        return []

    for pattern in KILLS:
        before = state(pattern)
        command = Command("demo", "--out", tmp_path, "--config", config, "--seed", "5", "--resume")
        while command.running and state(pattern) == before:
            time.sleep(0.002)
        time.sleep(draw.choice((0, 0.003, 0.03, 0.3)))
        command.kill()
        kills += command.wait().returncode != 0
        if (tmp_path / "report.json").exists():
            assert timeless(report(tmp_path)) == timeless(report(whole))  # never half a file
    done = run("demo", "--out", tmp_path, "--config", config, "--seed", "5", "--resume")
    assert done.returncode == 0, done.stderr
    assert kills >= len(KILLS) - 2  # the last ones may come too late
    assert timeless(report(tmp_path)) == timeless(report(whole))
    evaluated = [f"eval/{name}.jsonl" for name in EVALUATIONS]
    made = [f"synth/{name}" for name in ("tasks.jsonl", "tools.jsonl", "worlds.jsonl", *OUTCOMES)]
    assert contents(tmp_path, [*made, *evaluated]) == contents(whole, [*made, *evaluated])
    for stage in ("sft", "grpo"):
        lines = [timeless(records(folder / stage / "metrics.jsonl")) for folder in (whole, tmp_path)]
        assert lines[0] == lines[1]
        assert weights(tmp_path, stage) == weights(whole, stage)
        assert weights(tmp_path, stage, "checkpoints/*") == weights(whole, stage, "checkpoints/*")


def test_a_torn_checkpoint_is_passed_over(copy, whole, config):
    newest = max((copy / "sft" / "checkpoints").glob("*/model.safetensors"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:10_000])
    shutil.rmtree(copy / "sft" / "model")
    owe(copy, "sft", "report")
    done = run("demo", "--out", copy, "--config", config, "--seed", "5", "--resume")
    assert done.returncode == 0, done.stderr
    assert weights(copy, "sft") == weights(whole, "sft")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sft/model/model.safetensors", "can't load a model"),
        ("grpo/model/config.json", "can't load a model"),
        ("eval/grpo.jsonl", "expected a JSON object"),
        ("stages.json", "stages.json"),
        ("config.json", "config.json: not valid JSON"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(copy, config, name, message):
    (copy / name).write_bytes(b"[]\n" if name in ("stages.json", "eval/grpo.jsonl") else b"{damaged")
    (copy / "report.html").unlink()
    before = files(copy)
    done = run("demo", "--out", copy, "--config", config, "--seed", "5", "--resume")
    *progress, error = done.stderr.splitlines()
    assert done.returncode == 2
    # Evaluations run side by side: one that is whole may be read before the other is found damaged.
    assert all(line.startswith("evaluation: ") for line in progress), done.stderr
    assert error.startswith("error: ")
    assert str(copy) in error
    assert message in error
    assert files(copy) == before


def test_a_lost_page_is_written_again(copy, whole, config):
    (copy / "report.html").unlink()
    assert run("demo", "--out", copy, "--config", config, "--seed", "5", "--resume").returncode == 0
    assert (copy / "report.html").read_text().rstrip().endswith("</html>")
    assert timeless(report(copy)) == timeless(report(whole))


@pytest.mark.parametrize("what", ["model", "optimizer"])
def test_a_full_disk_is_one_line_and_loses_nothing(copy, config, what):
    size = len(weights(copy, "sft"))
    largest = size // 2 if what == "model" else size + 50_000  # an optimiser's state is larger than the weights
    for name in ("sft", "grpo", "eval"):
        shutil.rmtree(copy / name)
    owe(copy, "sft", "grpo", "report", *(f"eval_{name}" for name in EVALUATIONS))
    before = files(copy)
    done = run("demo", "--out", copy, "--config", config, "--seed", "5", "--resume", largest=largest)
    assert done.returncode == 2
    *lines, last = done.stderr.splitlines()
    assert all(line.startswith("sft: ") for line in lines)
    assert last.startswith(f"error: {copy}: can't write (a checkpoint is not complete")
    assert {name: data for name, data in files(copy).items() if name in before} == before


def test_without_torch_the_extra_is_named(config, tmp_path):
    bare = without(tmp_path, "torch", "transformers", "trl")
    for command in (
        ["demo", "--out", tmp_path / "out", "--config", config],
        ["lab", "pretrain", "--out", tmp_path / "base"],
    ):
        error = one_line(run_as_user(*command, env=bare))
        assert re.search(r"(torch|transformers|trl) is not installed; run: pip install 'understudy\[train\]'", error)
    assert not (tmp_path / "base").exists()


def test_a_full_demo_has_the_controls_and_three_seeds(tmp_path):
    smaller = ("trace_questions=24", "test_questions=3", "sft.epochs=1", "grpo.steps=1")
    path = tmp_path / "demo.toml"
    path.write_text(CONFIG)
    settings = [part for one in smaller for part in ("--set", one)]
    done = run("demo", "--out", tmp_path / "out", "--config", path, "--seed", "3", "--full", *settings)
    assert done.returncode == 0, done.stderr
    found = report(tmp_path / "out")
    assert [one["seed"] for one in found["seeds"]] == [4, 5]
    for one in (found, *found["seeds"]):
        assert one["controls"].keys() == {
            "further_sft", "shuffled_rewards", "corrupted", "over_further_sft", "over_shuffled_rewards",
            "gap_corrupted",
        }  # fmt: skip
        assert all(metric["n"] == 3 for metric in one["controls"].values())
    assert {"further_sft", "shuffled_rewards", "eval_corrupted"} <= found["seconds"].keys()
    assert weights(tmp_path / "out", "further_sft") != weights(tmp_path / "out", "sft")
    for name in ("grpo", "shuffled_rewards"):
        assert any("reward" in line for line in records(tmp_path / "out" / name / "metrics.jsonl"))
    assert report(tmp_path / "out" / "seed-4")["em"] == found["seeds"][0]["em"]
