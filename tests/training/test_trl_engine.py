"""The engine behind TRL's trainer: with TRL's own transformers, and with what stands for a colocated vLLM."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

import tiny
from lookup import LIMITS, LookUp, Made, task_set
from understudy.errors import InputError, ModelError
from understudy.training.generate import GenerateEngine
from understudy.training.grpo import GrpoConfig, grpo
from understudy.training.models import save_model
from understudy.training.trl_engine import TrlEngine
from vllmserver import sample

STOP = 2


@pytest.fixture
def trainer(tmp_path, tokenizer):
    model = tiny.build_model(tokenizer, vocab_size=24)  # so few words that turns end
    args = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
        max_completion_length=300, temperature=0.7, num_generations=2, per_device_train_batch_size=2,
    )  # fmt: skip
    rows = Dataset.from_list([{"prompt": "?"}])
    made = GRPOTrainer(model, lambda **_: [0.0], args=args, train_dataset=rows, processing_class=tokenizer)
    made.model.train()
    return made


class Colocated:
    """Stands for TRL's ``VLLMGeneration`` with a vLLM in this process, of which it has the attributes."""

    def __init__(self, model):
        self.model, self.calls = model, []
        self.temperature, self.max_completion_length, self.generation_kwargs = 0.7, 300, {"seed": 1}

    def sync_weights(self):
        self.calls.append("sync")

    def generate(self, prompts, images, num_generations, profiler):
        self.calls.append((len(prompts), self.temperature, self.max_completion_length, self.generation_kwargs))
        stops, found = self.generation_kwargs["stop_token_ids"], []
        for at, prompt in enumerate(prompts):
            found.append(sample(self.model, prompt, self.max_completion_length, self.temperature, at, stops))
        return prompts, [ids for ids, _ in found], [[[one] for one in logprobs] for _, logprobs in found], None


@pytest.fixture
def colocated(trainer):
    trainer.use_vllm, trainer.vllm_mode, trainer.vllm_tensor_parallel_size = True, "colocate", 1
    trainer.vllm_generation, trainer._last_loaded_step = Colocated(trainer.model), -1
    return trainer


async def converse(engine, index, temperature, turns=((9, [9, 10]), (4, [11]), (7, []))):
    slot, generator, new, said = engine.open(temperature), np.random.default_rng(index), [5, 6, 12 + index], []
    for limit, observation in turns:
        said.append(await slot.sample(new, limit, generator))
        new = observation
    slot.close()
    return said


async def talk(engine, temperature=0.7, count=6):
    return await asyncio.gather(*(converse(engine, index, temperature) for index in range(count)))


@pytest.mark.parametrize("backend", ["trainer", "colocated"])
async def test_turns_end_where_they_must_with_log_probabilities_of_the_model(request, backend):
    trainer = request.getfixturevalue(backend)
    torch.manual_seed(0)
    conversations = await talk(TrlEngine(trainer, STOP, rows=5))
    ends = 0
    for index, said in enumerate(conversations):
        ids = [5, 6, 12 + index]
        for turn, (limit, observation) in zip(said, ((9, [9, 10]), (4, [11]), (7, [])), strict=True):
            assert len(turn.ids) == limit or turn.ids[-1] == STOP
            assert STOP not in turn.ids[:-1]
            ends += turn.ids[-1] == STOP
            with torch.no_grad():
                table = (trainer.model(torch.tensor([ids + turn.ids])).logits[0] / 0.7).log_softmax(-1)
            expected = [float(table[len(ids) + at - 1, token]) for at, token in enumerate(turn.ids)]
            assert turn.logprobs == pytest.approx(expected, abs=1e-4)
            ids += [*turn.ids, *observation]
    assert len({tuple(said[0].ids) for said in conversations}) > 3
    assert ends


async def test_greedy_turns_are_those_of_the_other_engines(trainer):
    ours = await talk(TrlEngine(trainer, STOP), temperature=0.0)
    theirs = await talk(GenerateEngine(trainer.model, STOP), temperature=0.0)
    assert [[turn.ids for turn in said] for said in ours] == [[turn.ids for turn in said] for said in theirs]


async def test_turns_that_wait_share_a_call_and_the_settings_are_given_back(colocated):
    await talk(TrlEngine(colocated, STOP, rows=3))
    vllm = colocated.vllm_generation
    assert vllm.calls[0] == "sync"
    sizes = [size for size, *_ in vllm.calls[1:]]
    assert sum(sizes) == 18
    assert max(sizes) == 3
    assert len(sizes) < 9
    kwargs = {"seed": 1, "stop_token_ids": [STOP], "ignore_eos": True}
    assert all(call[1:] in [(0.7, limit, kwargs) for limit in (9, 7, 4)] for call in vllm.calls[1:])
    assert (vllm.temperature, vllm.max_completion_length, vllm.generation_kwargs) == (0.7, 300, {"seed": 1})
    assert colocated.temperature == 0.7
    assert colocated.model.training


async def test_a_waiting_rollout_holds_nobody_up(trainer):
    """With a barrier per turn this would never end: the first needs the second's last turn before its own second."""
    engine, done = TrlEngine(trainer, STOP), asyncio.Event()

    async def patient():
        slot, generator = engine.open(1.0), np.random.default_rng(0)
        await slot.sample([5], 3, generator)
        await done.wait()
        await slot.sample([6], 3, generator)

    async def quick():
        await converse(engine, 1, 1.0)
        done.set()

    async with asyncio.timeout(10):
        await asyncio.gather(patient(), quick())


async def test_a_token_without_log_probability_is_an_error(colocated):
    colocated.vllm_generation.generate = lambda prompts, **_: (prompts, [[5, 6]] * 6, [[[None], [0.0]]] * 6, None)
    with pytest.raises(ModelError, match="without log-probabilities"):
        await talk(TrlEngine(colocated, STOP))


def test_processes_that_would_have_to_sample_together_are_refused():
    for mode, devices, processes in (("server", 1, 2), ("colocate", 2, 2), ("colocate", 1, 2), ("server", 1, 1)):
        stub = SimpleNamespace(
            use_vllm=True,
            vllm_mode=mode,
            vllm_tensor_parallel_size=devices,
            accelerator=SimpleNamespace(num_processes=processes),
        )
        if processes > 1 and (mode, devices) != ("colocate", 1):
            with pytest.raises(InputError, match="must be colocated"):
                TrlEngine(stub, STOP)
        else:
            TrlEngine(stub, STOP)


def test_grpo_with_validation_through_trl(monkeypatch, tmp_path, model, renderer):
    monkeypatch.setattr("understudy.training.rollouts.score", Made)
    save_model(model, renderer, tmp_path / "start")
    config = GrpoConfig(
        model=str(tmp_path / "start"), template="lab", engine="trl", steps=2, prompts=2, generations=4, lr=1e-2,
        beta=0.0, temperature=0.9, limits=LIMITS, max_turn_tokens=20, save_every=0, validate_every=1,
    )  # fmt: skip
    grpo(config, tmp_path / "run", task_set(4), LookUp(), validation=task_set(2))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    apart = [line["sampling/logprob_difference"] for line in lines if "sampling/logprob_difference" in line]
    assert len(apart) == 2
    assert max(apart) < 1e-4
