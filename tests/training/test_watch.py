"""The watch: what is a warning and what is not, and that a collapsed run ends with weights from before."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

from guessing import Killed, LookUp, configured, metrics
from understudy.training.grpo import grpo
from understudy.training.models import load_model
from understudy.training.rollouts import TaskSet
from understudy.training.settings import WatchSettings
from understudy.training.watch import Watch

HEALTHY = {
    "reward": 0.5, "entropy": 0.2, "sampled_tokens": 100.0, "malformed_turns": 0.05, "invalid_calls": 0.1,
    "clip_ratio/region_mean": 0.01, "frac_reward_zero_std": 0.2, "sampling/kl": 0.01, "loss": 0.1, "grad_norm": 1.0,
}  # fmt: skip
WINDOW = 2
"""Optimiser steps per batch."""


class Run:
    """A trainer's log, told to a watch: two lines a batch, of which the first has what rollouts say."""

    def __init__(self, **settings):
        self.watch, self.history, self.step = Watch(WatchSettings(**settings), WINDOW), [], 0
        self.control = SimpleNamespace(should_save=True, should_training_stop=False)

    def batch(self, **changes):
        """Log a batch; the names of its warnings."""
        lines = dict(HEALTHY | changes), {name: (HEALTHY | changes)[name] for name in ("entropy", "loss", "grad_norm")}
        for line in lines:
            self.step += 1
            self.history.append({**line, "step": self.step})
            self.control.should_save = True
            self.watch.on_log(None, self.state, self.control, line)
        return {name.removeprefix("watch/") for name in line if name.startswith("watch/")} - {"strikes"}

    @property
    def state(self):
        return SimpleNamespace(global_step=self.step, is_world_process_zero=True, log_history=self.history)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("entropy", {"entropy": 0.0005}),
        ("entropy", {"entropy": 0.9}),
        ("length", {"sampled_tokens": 450.0}),
        ("malformed_turns", {"malformed_turns": 0.4}),
        ("invalid_calls", {"invalid_calls": 0.45}),
        ("clipped", {"clip_ratio/region_mean": 0.4}),
        ("flat", {"frac_reward_zero_std": 1.0}),
        ("kl", {"sampling/kl": 2.0}),
        ("kl", {"kl": 2.0, "sampling/kl": 0.0}),
        ("finite", {"loss": float("nan")}),
        ("finite", {"grad_norm": float("inf")}),
    ],
)
def test_each_sign_of_collapse_is_a_warning(name, changes, caplog):
    run = Run()
    assert run.batch() == set()
    assert run.batch(**changes) == {name}
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith("batch 2: ")
    assert run.batch() == set()
    assert run.watch.strikes == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"reward": 1.2, "entropy": 0.0, "frac_reward_zero_std": 1.0},  # all is learnt
        {"kl": 0.2, "sampling/kl": 2.0},  # the leash is what counts where there is one
        {"entropy": 0.7, "sampled_tokens": 390.0, "malformed_turns": 0.3},
        {"reward": float("nan")},  # a simulator spoilt the whole batch
    ],
)
def test_what_is_no_collapse_is_no_warning(changes):
    run = Run()
    run.batch()
    assert [run.batch(**changes) for _ in range(10)] == [set()] * 10


def test_a_model_that_begins_badly_is_left_alone():
    run = Run()
    for share in (0.9, 0.95, 0.8, 0.3):
        assert run.batch(malformed_turns=share, invalid_calls=share, reward=0.0) == set()


def test_the_reward_is_smoothed_and_compared_with_its_best():
    run = Run()
    for reward in (0.2, 0.9, 0.8, 0.8, 0.8):  # the best is 0.7
        assert run.batch(reward=reward) == set()
    assert run.batch(reward=0.0) == set()
    assert [run.batch(reward=0.1) for _ in range(4)] == [set(), set(), {"reward"}, {"reward"}]  # 0.5, 0.36, 0.22, 0.08


def test_patience_counts_batches_in_a_row(caplog):
    run = Run(patience=3)
    bad = {"entropy": 0.0}
    for changes in ({}, bad, bad, {}, bad, bad):
        run.batch(**changes)
    assert run.control.should_save
    assert not run.control.should_training_stop
    run.batch(**bad)
    assert run.control.should_training_stop
    assert not run.control.should_save
    assert run.watch.stopped == "entropy 0, below 0.001"
    assert run.watch.good == 3  # batch 4 was good, and batch 3 made the weights that sampled it
    assert len(caplog.records) == 2, "a line when it begins, not one a batch"


def test_weights_that_are_no_numbers_end_the_run_at_once_and_without_patience_nothing_does():
    run = Run()
    run.batch()
    run.batch(loss=float("nan"))
    assert run.watch.stopped == "loss not a number"
    calm = Run(patience=0)
    calm.batch()
    assert [calm.batch(entropy=0.0, loss=float("nan")) for _ in range(9)] == [{"entropy", "finite"}] * 9
    assert calm.watch.stopped is None
    assert calm.control.should_save
    assert not calm.control.should_training_stop


def test_a_resumed_watch_knows_what_it_knew():
    run = Run(patience=0)
    for reward in (0.2, 0.9, 0.8, 0.8, 0.8, 0.1, 0.1):
        run.batch(reward=reward, entropy=reward)
    again = Run(patience=0)
    again.history, again.step = list(run.history), run.step
    again.watch.on_train_begin(None, again.state, again.control)
    for _ in range(3):
        assert run.batch(reward=0.1) == again.batch(reward=0.1)
        assert run.watch.strikes == again.watch.strikes
    assert run.watch.strikes > 0


def weights(folder):
    return load_model(str(folder))[0].state_dict()


@pytest.mark.parametrize("lora", [None, {"r": 4, "alpha": 8}])
def test_a_collapsed_run_ends_with_weights_from_before(start, given, tmp_path, caplog, lora):
    """Within five batches the learning rate rises to an absurd one."""
    config = configured(
        start, steps=30, minibatches=1, prompts=4, lr=1.0, save_every=1, lora=lora, watch={"patience": 3},
        schedule="constant_with_warmup", trainer={"warmup_steps": 5},
    )  # fmt: skip
    result = grpo(config, tmp_path, given, LookUp())
    lines = metrics(tmp_path)
    assert result.stopped
    assert result.steps == len(lines) < 30
    assert [line["watch/strikes"] for line in lines[-3:]] == [1, 2, 3]
    assert lines[-1]["reward"] < lines[0]["reward"] / 2
    assert any("3 end the run" in record.getMessage() for record in caplog.records)
    assert result.best_step == result.steps - 3 - 1
    if lora is None:
        good = weights(tmp_path / "checkpoints" / f"checkpoint-{result.best_step}")
        assert all(torch.equal(value, good[name]) for name, value in weights(result.model).items())


def test_a_collapsed_run_gives_the_best_validated_weights(start, given, tmp_path):
    validation = TaskSet.of(list(given.tasks.values())[:2], given.toolsets)
    config = configured(start, steps=30, lr=1.0, validate_every=30, watch={"patience": 2})
    result = grpo(config, tmp_path, given, LookUp(), validation)
    assert result.stopped
    assert (result.best_step, result.steps < 30) == (0, True)
    first = weights(start)
    assert all(torch.equal(value, first[name]) for name, value in weights(result.model).items())


def test_a_healthy_run_is_left_alone(start, given, tmp_path, caplog):
    config = configured(start, steps=8, prompts=4, generations=8, lr=1e-3, watch={"patience": 1}, beta=0.01)
    with caplog.at_level(logging.WARNING, "understudy"):
        result = grpo(config, tmp_path, given, LookUp())
    assert (result.stopped, result.steps, result.best_step) == (None, 8, 8)
    assert not [record for record in caplog.records if record.name.startswith("understudy")]
    strikes = [line["watch/strikes"] for line in metrics(tmp_path) if "watch/strikes" in line]
    assert strikes == [0.0] * 8


def test_a_killed_run_collapses_where_it_would_have(start, given, tmp_path):
    config = configured(start, steps=30, minibatches=1, lr=1.0, save_every=1, watch={"patience": 3})

    def kill(progress):
        if progress.step == 4:
            raise Killed

    whole = grpo(config, tmp_path / "whole", given, LookUp())
    with pytest.raises(Killed):
        grpo(config, tmp_path / "killed", given, LookUp(), on_progress=kill)
    again = grpo(config, tmp_path / "killed", given, LookUp(), resume=True)
    times = {"seconds": 0, "model": ""}
    assert again.model_copy(update=times) == whole.model_copy(update=times)
    assert whole.stopped
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "killed")
    first, second = weights(whole.model), weights(again.model)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
