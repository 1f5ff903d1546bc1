"""Two processes train as one does, and go on after a kill. They are started as ``torchrun`` starts them."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from commands import records, timeless
from processes import command, launch, optimise, stumble
from understudy.training.rollouts import means

ROOT = Path(__file__).parents[2]


def trained(count, *arguments):
    codes, log = launch(count, *arguments)
    assert codes == [0] * count, log
    return log


def metrics(folder):
    return [timeless(line) for line in records(folder / "metrics.jsonl")]


def assert_alike(first, second):
    """The same lines and weights, but for the order in which numbers were summed up."""
    for one, two in zip(metrics(first), metrics(second), strict=True):
        assert two == pytest.approx(one, rel=1e-3, abs=1e-5)
    one, two = (load_file(folder / "model" / "model.safetensors") for folder in (first, second))
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, atol=1e-4, rtol=1e-3)


@pytest.fixture(scope="module")
def synth(tmp_path_factory):
    """A folder of sixteen traces, four of which ``held_out=0.2`` holds out."""
    out = tmp_path_factory.mktemp("synth") / "run"
    trained(1, command, out, "synth", "--teacher", "scripted", "--questions", ROOT / "recipes/questions/lab.jsonl")
    return out


def sft_command(*overrides):
    sets = (part for one in ("held_out=0.2", "optimizer=adamw", "lr=1e-3", *overrides) for part in ("--set", one))
    return ["sft", "--config", ROOT / "configs/lab/sft.toml", *sets]


def test_sft_with_a_batch_of_four_and_with_two_of_two(synth, tmp_path):
    arguments = sft_command("epochs=2", "save_every=2", f"traces={synth}")
    logs = [
        trained(count, command, tmp_path / str(count), *arguments, "--set", f"batch_size={size}")
        for count, size in ((1, 4), (2, 2))
    ]
    assert_alike(tmp_path / "1", tmp_path / "2")
    results = [json.loads((tmp_path / str(count) / "result.json").read_text()) for count in (1, 2)]
    assert results[0]["trained"] == 12  # else two processes fill the last batch of an epoch up with traces of its start
    assert [result["steps"] for result in results] == [6, 6]
    assert results[1]["held_out_loss"] == pytest.approx(results[0]["held_out_loss"], rel=1e-4)
    assert [log.count("held out loss") for log in logs] == [1, 1]  # told by the main process alone
    codes, log = launch(2, command, tmp_path / "2", *arguments, "--set", "batch_size=2")
    assert codes[0] == 2
    assert log.count("add --resume") == 1
    whole = tmp_path / "2" / "model" / "model.safetensors"
    learnt = whole.read_bytes()
    for lost in ("checkpoints/checkpoint-6", "model"):
        shutil.rmtree(tmp_path / "2" / lost)
    (tmp_path / "2" / "result.json").unlink()  # killed in the second pass over the traces
    codes, log = launch(2, command, tmp_path / "2", *arguments, "--set", "batch_size=2", "--resume")
    assert codes == [0, 0], log
    assert whole.read_bytes() == learnt


def test_a_resumed_run_counts_the_last_batch_of_an_epoch_as_before(synth, tmp_path):
    """Eleven traces in batches of two times five: the second has one, and is filled up with traces of the first."""
    arguments = sft_command("epochs=1", "save_every=1", "batch_size=5", "held_out=0.3", f"traces={synth}")
    out = tmp_path / "sft"
    trained(2, command, out, *arguments)
    before = metrics(out)
    assert json.loads((out / "result.json").read_text())["trained"] == 11
    for lost in ("checkpoints/checkpoint-2", "model"):
        shutil.rmtree(out / lost)
    (out / "result.json").unlink()
    trained(2, command, out, *arguments, "--resume")
    assert metrics(out) == before


@pytest.mark.parametrize("changes", [{"beta": 0.0}, {"beta": 0.05, "shuffle_rewards": True}], ids=["plain", "shuffled"])
def test_grpo_rolls_out_and_learns_the_same(start, tmp_path, changes):
    """Six of twelve rollouts each: the second of three groups is played by both processes."""
    changes = {**changes, "prompts": 3, "minibatches": 1, "iterations": 2, "validate_every": 1}
    for count in (1, 2):
        trained(count, optimise, tmp_path / str(count), start, changes)
    alone, *both = (
        json.loads((tmp_path / folder / f"rollouts-{rank}.json").read_text())
        for folder, rank in (("1", 0), ("2", 0), ("2", 1))
    )
    assert alone == [first + second for first, second in zip(*both, strict=True)]
    assert [len(batch) for batch in alone] == [12, 12, 12]
    assert_alike(tmp_path / "1", tmp_path / "2")
    lines = metrics(tmp_path / "1")
    assert any(line["loss"] for line in lines)
    assert 0 < sum(line.get("masked", 0) for line in lines) < 3
    results = [json.loads((tmp_path / "2" / f"result-{rank}.json").read_text()) for rank in (0, 1)]
    assert timeless(results[0]) == timeless(results[1])
    assert results[0]["validation"]["value"] == 2 / 8


def test_a_killed_run_of_two_goes_on_exactly_and_with_two_only(start, tmp_path):
    changes = {"steps": 4, "beta": 0.0, "save_every": 1, "validate_every": 2}
    trained(2, optimise, tmp_path / "whole", start, changes)
    codes, _ = launch(2, optimise, tmp_path / "killed", start, changes, 6)
    assert codes[0] == -signal.SIGKILL
    codes, log = launch(1, optimise, tmp_path / "killed", start, changes, None, True)
    assert codes == [1]
    assert "start as many as when it was begun" in log
    trained(2, optimise, tmp_path / "killed", start, changes, None, True)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")
    first, second = (
        load_file(tmp_path / run / "checkpoints/checkpoint-8/model.safetensors") for run in ("whole", "killed")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_checkpoint_that_one_process_did_not_finish_is_passed_over(start, tmp_path):
    changes = {"steps": 1, "beta": 0.0, "save_every": 1}
    trained(2, optimise, tmp_path / "whole", start, changes)
    codes, _ = launch(2, stumble, tmp_path / "killed", start, changes)
    assert codes[1] == -signal.SIGKILL
    assert list((tmp_path / "killed").glob("checkpoints/*/rng_state_0.pth"))
    trained(2, optimise, tmp_path / "killed", start, changes, None, True)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")


def test_means_over_parts_weigh_them_by_what_they_count():
    assert means([{"em": (1, 4), "masked": (0, 4)}, {"em": (2, 2)}, {"calls": (0, 0)}]) == {
        "em": 0.5, "masked": 0.0, "calls": 0.0,
    }  # fmt: skip
