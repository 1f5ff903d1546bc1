"""TRL's asynchronous GRPO with our rollouts: what is queued, and its trainer for two steps on a CPU.

TRL's trainer wants a GPU for its attention kernel and for a figure of its speed, and ``requests`` for a client that is
not used where weights go another way; all three have a stand-in here.
"""

from __future__ import annotations

import threading
import time
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 (the customary name)

import tiny
from lookup import LIMITS, LookUp, Made, ending, task_set
from understudy.errors import OutageError
from understudy.reward.composite import Weights
from understudy.training.async_worker import RolloutWorker, samples
from understudy.training.models import save_model
from understudy.training.policy import ModelPolicy
from understudy.training.rollouts import collect
from understudy.training.settings import GrpoConfig, VllmSettings
from understudy.training.static import StaticEngine
from understudy.training.vllm_engine import VllmEngine
from vllmserver import VllmServer

CONFIG = GrpoConfig(model="m", prompts=2, generations=4, limits=LIMITS, max_turn_tokens=12)


@pytest.fixture(autouse=True)
def _graded(monkeypatch):
    monkeypatch.setattr("understudy.training.rollouts.score", Made)


@pytest.fixture
def policy(model, renderer):
    return ModelPolicy(StaticEngine(ending(model, renderer.end_id), renderer.end_id), renderer, max_turn_tokens=12)


async def test_samples_hold_the_exact_tokens_and_the_advantage_of_what_counts(policy):
    batch = await collect([("t0", at) for at in range(6)], task_set(1), policy, LookUp(), LIMITS, Weights(), 0)
    batch.rewards[1].masked = batch.rewards[4].masked = True  # a simulator's failure
    made = samples(batch, group_id=7, model_version=3)
    kept = [at for at in range(6) if at not in (1, 4)]
    totals = torch.tensor([batch.rewards[at].total for at in kept])
    expected = (totals - totals.mean()) / totals.std(correction=0)
    assert [one.advantage for one in made] == pytest.approx(expected.tolist(), abs=1e-5)
    for one, at in zip(made, kept, strict=True):
        tokens = batch.traces[at].tokens
        start = len(tokens.prompt)
        assert tuple(one.input_ids) == tokens.prompt + tokens.completion
        assert tuple(one.completion_mask[start:]) == tokens.mask
        assert not one.completion_mask[:start].any()
        assert one.old_log_probs[start:].tolist() == pytest.approx(tokens.logprobs)
        assert (one.group_id, one.model_version, one.metrics["reward"]) == (7, 3, batch.rewards[at].total)


def taken(worker, count):
    return [worker.rollout_buffer.get(timeout=60) for _ in range(count)]


def test_groups_follow_each_other_with_the_version_they_began_with(policy):
    worker = RolloutWorker(CONFIG, task_set(3), policy, LookUp())
    worker.start()
    made = taken(worker, 16)
    worker.update_model_version(5)
    later = taken(worker, 32)
    worker.check_health(60)
    worker.stop()
    assert not worker._thread.is_alive()
    assert worker.rollout_buffer.qsize() <= 8
    assert {one.model_version for one in made} == {0}
    assert later[-1].model_version == 5
    groups = [one.group_id for one in made + later]
    assert max(map(groups.count, groups)) == 4
    assert "em" in worker.metrics_queue.get_nowait()


def test_what_ends_production_is_told(policy):
    async def gone(self, observations):
        raise OutageError("the server is gone")

    policy.open = lambda *_: type("Gone", (), {"step": gone, "tokens": lambda _: None, "close": lambda _: None})()
    worker = RolloutWorker(CONFIG, task_set(3), policy, LookUp())
    worker.start()
    worker._thread.join(60)
    with pytest.raises(RuntimeError, match="rollouts ended: the server is gone"):
        worker.check_health(60)
    worker.stop()
    standing = RolloutWorker(CONFIG, task_set(3), policy, LookUp())
    time.sleep(0.01)
    with pytest.raises(RuntimeError, match="stand still"):
        standing.check_health(0.005)


class Attention:
    """The packed attention of the kernel, by torch: causal, aligned at the lower right."""

    @staticmethod
    def flash_attn_varlen_func(q, k, v, cu_q, cu_k, *_, softmax_scale=None, **__):
        parts, ends = [], list(zip(cu_q.tolist(), cu_k.tolist(), strict=True))
        for (a, c), (b, d) in pairwise(ends):
            mask = torch.ones(b - a, d - c, dtype=torch.bool).tril((d - c) - (b - a))
            heads = [part.transpose(0, 1)[None] for part in (q[a:b], k[c:d], v[c:d])]
            out = F.scaled_dot_product_attention(*heads, attn_mask=mask, scale=softmax_scale, enable_gqa=True)
            parts.append(out[0].transpose(0, 1))
        return torch.cat(parts)


class Transfer:
    """Sends the trainer's weights to the model behind the server."""

    def __init__(self, server):
        self.server, self.sent = server, 0

    def send_weights(self, weights):
        self.server.model.load_state_dict({**self.server.model.state_dict(), **dict(weights)})
        self.sent += 1

    def init_weight_transfer(self):
        pass

    pause = resume = destroy = init_weight_transfer


def test_trls_trainer_takes_two_steps(monkeypatch, tmp_path, tokenizer, model, renderer):
    from datasets import Dataset
    from trl.experimental.async_grpo import AsyncGRPOConfig, AsyncGRPOTrainer, async_grpo_trainer, packing

    monkeypatch.setattr(packing, "_flash_attn", lambda: Attention)
    monkeypatch.setattr(async_grpo_trainer, "get_peak_flops_per_device", lambda *_, **__: None)
    monkeypatch.setattr(async_grpo_trainer, "VLLMClient", lambda *_: None)
    save_model(model, renderer, tmp_path / "start")
    server = VllmServer(tiny.build_model(tokenizer, seed=7))
    with server.serve() as url:
        settings = VllmSettings(url=url.removesuffix("/v1"))
        engine = VllmEngine(settings, "m", renderer.end_id, 512)
        policy = ModelPolicy(engine, renderer, max_turn_tokens=12)
        to_close = AsyncExitStack()
        to_close.push_async_callback(engine.aclose)
        worker = RolloutWorker(CONFIG, task_set(3), policy, LookUp(), to_close)
        transfer = Transfer(server)
        args = AsyncGRPOConfig(
            output_dir=str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=4, learning_rate=1e-2,
            gradient_accumulation_steps=2, token_budget=0, bf16=False, use_cpu=True, gradient_checkpointing=False,
            dtype="float32", report_to=[], logging_steps=1, save_strategy="no", disable_tqdm=True,
            dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = AsyncGRPOTrainer(
            str(tmp_path / "start"), [lambda **_: [0.0]], args, Dataset.from_list([{"prompt": "?"}]), tokenizer,
            rollout_worker=worker, weight_transfer=transfer,
        )  # fmt: skip
        trainer.train()
    assert not any(thread.name == "rollouts" for thread in threading.enumerate())
    lines = [line for line in trainer.state.log_history if "ratio" in line]
    assert len(lines) == 2
    assert lines[0]["ratio"] == pytest.approx(1.0, abs=1e-3)  # the sampler's log-probabilities are the trainer's
    assert lines[0]["kl"] == pytest.approx(0.0, abs=1e-5)
    assert lines[0]["grad_norm"] > 0
    assert transfer.sent >= 2
    assert "em" in lines[0] or "em" in lines[1]
