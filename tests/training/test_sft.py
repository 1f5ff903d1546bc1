"""SFT: it learns, keeps the best weights, and a killed run goes on as if nothing had happened."""

from __future__ import annotations

import json
import random

import pytest
import torch

import handmade
import tiny
from understudy.errors import InputError
from understudy.training.models import load_model, make_renderer
from understudy.training.sft import LengthSampler, SftConfig, sft, split


def made(count, seed=0):
    rng = random.Random(seed)
    for index in range(count):
        film, person = f"film {rng.randrange(100)}", f"person {rng.randrange(100)}"
        steps = [("get_director", {"film": film}, {"director": person})] * rng.randint(1, 3)
        trace = handmade.trace("Look.", *steps, answer=person, question=f"Who directed {film}?")
        yield trace.model_copy(update={"task_id": f"t{index}"})


@pytest.fixture(scope="module")
def base(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tiny.build_model(tokenizer, initializer_range=0.05).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def configured(base, **changes):
    settings = {"model": base, "template": "lab", "lr": 5e-3, "epochs": 2, "batch_size": 8, "save_every": 4}
    return SftConfig(**{**settings, **changes})


def metrics(folder):
    clocks = ("runtime", "per_second")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith(clocks)} for line in lines]


class Killed(BaseException):
    pass


def kill_at(step):
    def on_progress(progress):
        if progress.step == step:
            raise Killed

    return on_progress


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_killed_run_goes_on_exactly(base, tmp_path, optimizer):
    traces, config = list(made(60)), configured(base, optimizer=optimizer)
    whole = sft(config, tmp_path / "whole", traces)
    with pytest.raises(Killed):
        sft(config, tmp_path / "killed", traces, on_progress=kill_at(10))
    # Killed while a checkpoint was being written: what is there of it must not be gone on from.
    torn = tmp_path / "killed" / "checkpoints" / "checkpoint-10"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"\0" * 100)
    resumed = sft(config, tmp_path / "killed", traces, resume=True)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")
    assert resumed.model_copy(update={"seconds": 0, "model": ""}) == whole.model_copy(
        update={"seconds": 0, "model": ""}
    )
    first, second = (load_model(result.model)[0].state_dict() for result in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_and_keeps_the_weights_that_are_best_on_held_out_traces(base, tmp_path):
    seen = []
    config = configured(base, epochs=4, held_out=0.2)
    result = sft(config, tmp_path, list(made(80)), on_progress=seen.append)
    losses = [line["eval_loss"] for line in metrics(tmp_path) if "eval_loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    assert result.held_out_loss == pytest.approx(min(losses))
    assert (result.trained + result.held_out, result.too_long) == (80, 0)
    assert [progress.stage for progress in seen] == ["sft"] * len(seen)
    assert (seen[-1].step, seen[-1].total) == (result.steps, result.steps)
    # What was saved renders by itself, with the template it was trained with.
    _, tokenizer = load_model(result.model)
    trace = next(made(1))
    assert make_renderer(tokenizer).render(trace) == make_renderer(tokenizer, "lab").render(trace)


def test_adapters_are_trained_alone_resumed_and_merged(base, tmp_path):
    traces, config = list(made(40)), configured(base, lr=2e-2, lora={"r": 4, "alpha": 8})
    whole = sft(config, tmp_path / "whole", traces)
    with pytest.raises(Killed):
        sft(config, tmp_path / "killed", traces, on_progress=kill_at(6))
    resumed = sft(config, tmp_path / "killed", traces, resume=True)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")
    first, second = (load_model(result.model)[0].state_dict() for result in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    # Adapters sit on linear layers: those changed, embeddings and norms did not.
    changed = {name for name, value in load_model(base)[0].state_dict().items() if not torch.equal(value, first[name])}
    assert changed
    assert all(name.endswith("_proj.weight") for name in changed)
    adapter, _ = load_model(str(tmp_path / "whole" / "adapter"))
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.allclose(adapter(ids).logits, load_model(whole.model)[0](ids).logits, atol=1e-4)


def test_adapters_can_be_left_as_they_are(base, tmp_path):
    config = configured(base, epochs=1, lora={"r": 2, "merge": False})
    sft(config, tmp_path, list(made(20)))
    assert (tmp_path / "model" / "adapter_model.safetensors").exists()
    assert not (tmp_path / "adapter").exists()
    with pytest.raises(ValueError, match="whole matrices"):
        configured(base, optimizer="muon", lora={})


def test_packing_changes_no_loss(base, tmp_path):
    """Packed traces don't see each other: one step on all of them has the loss of a padded batch."""
    traces = list(made(16))
    once = {"epochs": 1, "held_out": 0, "save_every": 0, "batch_size": 16, "warmup": 0}
    padded = sft(configured(base, **once), tmp_path / "padded", traces)
    packed = sft(configured(base, **once, trainer={"packing": True}, max_length=500), tmp_path / "packed", traces)
    assert packed.steps == padded.steps == 1
    assert packed.loss == pytest.approx(padded.loss, rel=1e-4)


def test_traces_of_a_task_are_held_out_together(base):
    traces = [trace for trace in made(50) for _ in range(3)]
    train, measure = split(traces, configured(base, held_out=0.3))
    assert measure
    assert not {trace.task_id for trace in train} & {trace.task_id for trace in measure}
    again = split(list(reversed(traces)), configured(base, held_out=0.3))
    assert {trace.task_id for trace in again[1]} == {trace.task_id for trace in measure}


def test_long_traces_are_left_out_whole(base, tmp_path):
    result = sft(configured(base, max_length=150, epochs=1, held_out=0, save_every=0), tmp_path, list(made(30)))
    assert 0 < result.too_long < 30
    assert result.held_out_loss is None
    with pytest.raises(InputError, match="nothing to train on"):
        sft(configured(base, max_length=10), tmp_path, list(made(3)))


def test_bad_input_is_one_line(base, tmp_path):
    with pytest.raises(InputError, match="no argument learning_rat"):
        sft(configured(base, trainer={"learning_rat": 1}), tmp_path, list(made(3)))
    with pytest.raises(InputError, match="can't load a model"):
        sft(configured(str(tmp_path)), tmp_path, list(made(3)))
    with pytest.raises(InputError, match="chat template"):
        sft(configured(base, template="nowhere.jinja"), tmp_path, list(made(3)))


def test_an_epoch_is_a_permutation_in_batches_of_similar_length():
    lengths = [random.Random(0).randrange(500) for _ in range(130)]
    sampler = LengthSampler(lengths, batch_size=8, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(130))
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first
    batches = [first[at : at + 8] for at in range(0, 128, 8)]
    spread = max(max(lengths[at] for at in batch) - min(lengths[at] for at in batch) for batch in batches)
    assert spread < 150
