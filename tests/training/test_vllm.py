"""The engine behind a vLLM server, against a server on loopback that answers as vLLM documents it."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import tiny
from lookup import LIMITS, LookUp, Made, ending, task_set
from understudy.errors import InputError, ModelError, OutageError
from understudy.reward.composite import Weights
from understudy.rollout import Limits
from understudy.training.grpo import GrpoConfig, grpo
from understudy.training.models import save_model
from understudy.training.policy import ModelPolicy
from understudy.training.rollouts import collect
from understudy.training.settings import VllmSettings
from understudy.training.vllm_engine import VllmEngine
from vllmserver import VllmServer

STOP = 1


def engine_at(url, stop_id=STOP, **patience):
    settings = VllmSettings(url=url.removesuffix("/v1"), **{"backoff": 0.01, **patience})
    return VllmEngine(settings, "m", stop_id, 512)


async def converse(engine, seed=0, prompt=(5, 6, 7), turns=3, temperature=0.8):
    slot, generator, new, said = engine.open(temperature), np.random.default_rng(seed), list(prompt), []
    for _ in range(turns):
        said.append(await slot.sample(new, 6, generator))
        new = [9, 10]
    slot.close()
    return said


async def test_what_is_reported_is_what_the_server_sampled(model):
    server = VllmServer(model)
    with server.serve() as url:
        engine = engine_at(url)
        said = await converse(engine)
        again = await converse(engine)
        other = await converse(engine, seed=1)
        await engine.aclose()
    assert said == again != other  # the rollout's random numbers decide
    prompt = [5, 6, 7]
    for turn, asked in zip(said, server.requests, strict=False):
        assert asked["prompt"] == prompt
        with torch.no_grad():
            table = (model(torch.tensor([prompt + turn.ids])).logits[0] / 0.8).log_softmax(-1)
        expected = [float(table[len(prompt) + at - 1, token]) for at, token in enumerate(turn.ids)]
        assert turn.logprobs == pytest.approx(expected, abs=1e-4)
        prompt = [*prompt, *turn.ids, 9, 10]
    assert len({asked["seed"] for asked in server.requests}) == 6


async def test_rollouts_through_a_faulty_server_are_those_through_a_sound_one(model, renderer):
    traces = []
    for wire in (0.0, 0.3):
        server = VllmServer(ending(model, renderer.end_id), wire=wire)
        server.wire_kinds.remove("hang")
        with server.serve() as url:
            engine = engine_at(url, renderer.end_id, attempts=20)
            policy = ModelPolicy(engine, renderer, max_turn_tokens=20)
            names = [(f"t{at % 2}", at // 2) for at in range(8)]
            batch = await collect(names, task_set(2), policy, LookUp(), LIMITS, Weights(), 0)
            traces.append(batch.traces)
            await engine.aclose()
        assert bool(server.faults) == (wire > 0)
    assert [trace.tokens for trace in traces[0]] == [trace.tokens for trace in traces[1]]
    assert len({trace.tokens.completion for trace in traces[0]}) > 4
    assert max(len(trace.steps) for trace in traces[0]) > 2


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"token_ids": None}, OutageError, "returns no token ids"),
        ({"logprobs": None}, OutageError, "log-probabilities; use vLLM"),
        ({"prompt_token_ids": [0, 5, 6, 7]}, OutageError, "read another prompt"),
        ({"token_ids": [3, 3, 3, 3, 3, 3, 3]}, ModelError, "7 tokens with"),
        ({"token_ids": []}, ModelError, "0 tokens with"),
    ],
)
async def test_a_server_that_is_not_token_exact_is_refused_in_one_line(model, changes, error, message):
    with VllmServer(model, changes).serve() as url:
        engine = engine_at(url, attempts=2)
        with pytest.raises(error, match=message) as caught:
            await converse(engine)
        await engine.aclose()
    assert str(caught.value).startswith("m at 127.0.0.1:")
    assert "\n" not in str(caught.value)


async def test_what_the_server_says_against_a_request_is_told(model):
    with VllmServer(model, context=5).serve() as url:
        engine = engine_at(url)
        with pytest.raises(ModelError, match="maximum context length is 5"):
            await converse(engine)
        with pytest.raises(InputError, match="context holds 512"):
            await engine.open(1.0).sample([1] * 510, 3, np.random.default_rng(0))
        await engine.aclose()
    engine = engine_at(url)  # nobody is there any more
    with pytest.raises(OutageError, match="connection failed"):
        await converse(engine)
    await engine.aclose()


async def test_a_server_that_hangs_is_given_up(model):
    with VllmServer(model, wire=1.0, only="hang").serve() as url:
        engine = engine_at(url, timeout=0.1, attempts=2)
        with pytest.raises(ModelError, match=r"no reply within 0.1 s \(2 attempts\)"):
            await converse(engine)
        await engine.aclose()


async def test_a_closed_slot_waits_no_longer(model):
    with VllmServer(model, wire=1.0, only="hang").serve() as url:
        engine = engine_at(url)
        slot = engine.open(1.0)
        waiting = asyncio.ensure_future(slot.sample([5], 4, np.random.default_rng(0)))
        await asyncio.sleep(0.05)
        slot.close()
        slot.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await engine.aclose()


class Sync:
    """Stands for TRL's ``VLLMGeneration``: copies the weights into the model behind the server."""

    mode = "processed_logprobs"

    def __init__(self, model, server, log, **settings):
        self.model, self.server, self.log, self.vllm_client = model, server, log, self
        log.append(settings["server_base_url"])

    def get_server_info(self):
        return {"model_config": {"logprobs_mode": self.mode}}

    def sync_weights(self):
        self.server.model.load_state_dict(self.model.state_dict())
        self.log.append(len(self.server.requests))


def config_of(start, url, **changes):
    settings = {
        "model": start, "template": "lab", "steps": 2, "prompts": 2, "generations": 2, "lr": 1e-2, "beta": 0.0,
        "temperature": 0.9, "max_turn_tokens": 12, "limits": Limits(max_turns=1, max_faults=1, max_tokens=30),
        "save_every": 0, "validate_every": 1, "engine": "vllm-server", "vllm": {"url": url.removesuffix("/v1")},
    }  # fmt: skip
    return GrpoConfig(**{**settings, **changes})


@pytest.fixture
def start(tmp_path, model, renderer):
    save_model(model, renderer, tmp_path / "start")
    return str(tmp_path / "start")


@pytest.fixture
def given():
    return task_set(4)


def test_training_through_a_server_whose_weights_are_todays(monkeypatch, tmp_path, tokenizer, start, given):
    """The server starts from other weights: whatever is not sent in time shows as a difference."""
    log, server = [], VllmServer(tiny.build_model(tokenizer, seed=7))

    monkeypatch.setattr("trl.trainer.grpo_trainer.VLLMGeneration", partial(Sync, server=server, log=log))
    monkeypatch.setattr("understudy.training.rollouts.score", Made)
    with server.serve() as url:
        grpo(config_of(start, url), tmp_path / "run", given, LookUp(), validation=given)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    apart = [line["sampling/logprob_difference"] for line in lines if "sampling/logprob_difference" in line]
    assert len(apart) == 2
    assert max(apart) < 1e-4
    assert log[0] == url.removesuffix("/v1")
    assert log[1] == 0  # before the first request
    assert len(log) == 4  # and after each of the two steps, once for validation and rollouts together
    assert {asked["temperature"] for asked in server.requests} == {0.0, 0.9}


def test_log_probabilities_without_the_temperature_are_refused(monkeypatch, tmp_path, model, start, given):
    monkeypatch.setattr(Sync, "mode", "raw_logprobs")
    monkeypatch.setattr("trl.trainer.grpo_trainer.VLLMGeneration", partial(Sync, server=VllmServer(model), log=[]))
    with pytest.raises(InputError, match="--logprobs-mode processed_logprobs"):
        grpo(config_of(start, "http://127.0.0.1:9"), tmp_path / "run", given, LookUp())


@pytest.mark.skipif(find_spec("vllm") is not None, reason="says what is missing where vLLM is not installed")
def test_without_vllm_it_says_so(tmp_path, start, given):
    for changes in ({}, {"engine": "trl", "vllm": None, "trainer": {"use_vllm": True}}):
        with pytest.raises(InputError, match="vLLM is not available"):
            grpo(config_of(start, "http://127.0.0.1:9", **changes), tmp_path / "run", given, LookUp())


def test_a_server_goes_with_its_engine_alone():
    for settings in ({"engine": "vllm-server"}, {"vllm": {"url": "http://localhost:8000"}}):
        with pytest.raises(ValueError, match="needs the table vllm"):
            GrpoConfig(model="m", **settings)
    with pytest.raises(ValueError, match="url"):
        VllmSettings(url="http://localhost:8000/v1")
