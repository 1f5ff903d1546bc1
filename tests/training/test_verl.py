"""verl's agent loop with verl's own classes and a server in this process; needs the environment of configs/verl."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from lookup import FIND, LookUp, ending, task_set
from vllmserver import sample

pytest.importorskip("verl", reason="verl needs an environment of its own: configs/verl/requirements.txt")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # verl's and ray's own
    from omegaconf import OmegaConf
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker, DictConfigWrap, _agent_loop_registry
    from verl.workers.rollout.replica import TokenOutput

import understudy.cli.verl
from understudy.errors import InputError, UnderstudyError
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.synthesis.pipeline import SynthesisSettings, synthesise
from understudy.synthesis.store import RunFolder
from understudy.synthesis.teacher import AgentTeacher
from understudy.training.settings import GrpoConfig
from understudy.training.verl_loop import Play, RolloutLoop

PROMPT, RESPONSE = 500, 60
SAMPLING = {"temperature": 0.8, "top_p": 1.0, "top_k": -1, "repetition_penalty": 1.0, "logprobs": True}
ROLLOUT = {"prompt_length": PROMPT, "response_length": RESPONSE, "multi_turn": {}}


class Servers:
    """As verl's ``LLMServerClient``: token ids to token ids."""

    def __init__(self, model, speaks=True):
        self.model, self.speaks, self.asked = model, speaks, []

    async def generate(self, request_id, *, prompt_ids, sampling_params):
        self.asked.append((request_id, prompt_ids, sampling_params))
        stops, limit = sampling_params["stop_token_ids"], sampling_params["max_tokens"]
        seed = len(self.asked)
        ids, logprobs = sample(self.model, prompt_ids, limit, sampling_params["temperature"], seed, stops)
        return TokenOutput(token_ids=ids, log_probs=logprobs if self.speaks else None, extra_fields={
            "min_global_steps": len(self.asked), "max_global_steps": len(self.asked)})  # fmt: skip


@pytest.fixture
def verl_model(tokenizer, renderer):
    return ending(tiny.build_model(tokenizer, context=PROMPT + RESPONSE), renderer.end_id)


def play(**changes):
    config = GrpoConfig(
        model="m", template="lab", max_turn_tokens=15, limits={"max_turns": 1, "max_faults": 5}, **changes
    )
    return Play(task_set(3), LookUp(), config)


def loop_of(servers, tokenizer, played, **rollout):
    config = OmegaConf.create({"actor_rollout_ref": {"rollout": ROLLOUT | rollout}, "data": {}})
    return RolloutLoop(
        DictConfigWrap(config), servers, tokenizer, None, object, DictConfigWrap(config.data),
        hf_model_type="qwen3", play=played,
    )  # fmt: skip


async def test_what_verl_trains_on_is_what_its_server_sampled(verl_model, tokenizer, renderer):
    servers = Servers(verl_model)
    output = await loop_of(servers, tokenizer, play()).run(dict(SAMPLING), extra_info={"task_id": "t1"}, raw_prompt=[])
    assert output.prompt_ids == renderer.prompt("Which?", (FIND,))
    assert 0 < sum(output.response_mask) < len(output.response_mask) == len(output.response_ids) <= RESPONSE
    assert len({request for request, *_ in servers.asked}) == 1
    whole = output.prompt_ids + output.response_ids
    with torch.no_grad():
        table = (verl_model(torch.tensor([whole])).logits[0] / 0.8).log_softmax(-1)
    for at, (token, on, logprob) in enumerate(
        zip(output.response_ids, output.response_mask, output.response_logprobs, strict=True), len(output.prompt_ids)
    ):
        assert logprob == pytest.approx(float(table[at - 1, token]) if on else 0.0, abs=1e-3)
    assert all(prompt == whole[: len(prompt)] for _, prompt, _ in servers.asked)
    assert output.extra_fields["min_global_steps"] == 1
    assert output.extra_fields["max_global_steps"] == len(servers.asked) > 1


async def test_a_batch_passes_through_verls_own_worker(monkeypatch, verl_model, tokenizer, renderer):
    """Padding, masks and rewards by verl's code; our loop is made by hydra from the shipped configuration."""
    monkeypatch.setattr(understudy.cli.verl, "play", lambda settings: play())
    for entry in OmegaConf.load(Path(__file__).parents[2] / "configs" / "verl" / "agent.yaml"):
        monkeypatch.setitem(_agent_loop_registry, entry.name, entry)
    config = OmegaConf.create({"actor_rollout_ref": {"rollout": ROLLOUT}, "data": {}})
    worker = object.__new__(AgentLoopWorker)
    for name, value in {
        "config": config, "rollout_config": config.actor_rollout_ref.rollout, "llm_client": Servers(verl_model),
        "tokenizer": tokenizer, "processor": None, "hf_model_type": "qwen3", "dataset_cls": object, "tools": [],
        "distillation_enabled": False, "reward_loop_worker_handles": None, "mm_processor_kwargs": {},
    }.items():  # fmt: skip
        setattr(worker, name, value)
    trajectory = {"step": 0, "sample_index": 0, "rollout_n": 0, "validate": False}
    rows = [{"agent_name": "understudy", "extra_info": {"task_id": f"t{at}"}, "raw_prompt": []} for at in range(3)]
    outputs = await asyncio.gather(
        *(worker._run_agent_loop(dict(SAMPLING), trajectory, trace=False, **row) for row in rows)
    )
    columns = {name: np.array([row[name] for row in rows], dtype=object) for name in rows[0]}
    batch = worker._postprocess(outputs, input_non_tensor_batch=columns)
    assert batch.batch["prompts"].shape == (3, PROMPT)
    assert batch.batch["responses"].shape == batch.batch["response_mask"].shape == (3, RESPONSE)
    assert batch.batch["response_mask"].any(1).all()
    assert (batch.batch["rollout_log_probs"][batch.batch["response_mask"] == 0] == 0).all()
    rewards = batch.batch["rm_scores"].sum(1).tolist()
    assert rewards == pytest.approx([output.reward_score for output in outputs])
    assert {*batch.meta_info["reward_extra_keys"]} == {"acc", "masked"}
    assert len(batch.non_tensor_batch["stop"]) == 3


async def test_what_a_simulator_spoilt_has_no_token_to_learn(monkeypatch, verl_model, tokenizer):
    class Spoilt:
        masked, total, terms = True, 0.3, {}

    monkeypatch.setattr("understudy.training.rollouts.score", lambda *_: Spoilt)
    loop = loop_of(Servers(verl_model), tokenizer, play())
    output = await loop.run(dict(SAMPLING), extra_info={"task_id": "t1"})
    assert (sum(output.response_mask), output.reward_score) == (0, 0.0)
    assert output.response_ids
    assert output.extra_fields["reward_extra_info"] == {"acc": 0.0, "masked": 1.0}


async def test_bad_input_is_one_line(verl_model, tokenizer):
    for row, rollout, speaks, error, message in (
        ({"extra_info": {"task_id": "t9"}}, {}, True, InputError, "'t9', which is not among 3 tasks"),
        ({}, {}, True, InputError, "'None', which is not"),
        ({"extra_info": {"task_id": "t1"}}, {"prompt_length": 10}, True, InputError, "verl's prompt_length is 10"),
        ({"extra_info": {"task_id": "t1"}}, {}, False, UnderstudyError, "0 log-probabilities"),
    ):
        loop = loop_of(Servers(verl_model, speaks), tokenizer, play(), **rollout)
        with pytest.raises(error, match=message):
            await loop.run(dict(SAMPLING), **row)


async def test_a_run_folder_is_played_and_its_tasks_are_written(tmp_path, tokenizer):
    from datasets import load_dataset

    with RunFolder(tmp_path / "synth") as folder:
        folder.start(config={"teacher": "scripted"}, resume=False)
        tasks = make_tasks(Universe(0, size=60), 6, seed=0)
        await synthesise(tasks, AgentTeacher.on(ScriptedModel()), folder, SynthesisSettings())
    (tmp_path / "synth" / "config.json").write_text('{"teacher": "scripted"}')
    settings = f'model = "m"\ntemplate = "lab"\ntasks = "{tmp_path / "synth"}"\nheld_out = 0.5\nmax_turn_tokens = 9\n'
    (tmp_path / "grpo.toml").write_text(settings)
    understudy.cli.verl.write_rows(str(tmp_path / "grpo.toml"), str(tmp_path))
    found = {}
    for name in ("train", "validation"):
        rows = load_dataset("parquet", data_files=str(tmp_path / f"{name}.parquet"), cache_dir=str(tmp_path))["train"]
        found[name] = {row["extra_info"]["task_id"]: row for row in rows}
    assert sorted([*found["train"], *found["validation"]]) == sorted(task.id for task in tasks)
    task_id, row = next(iter(found["train"].items()))
    asked = next(task for task in tasks if task.id == task_id)
    assert row["prompt"] == [{"role": "user", "content": asked.question}]
    assert (row["agent_name"], row["reward_model"]["ground_truth"]) == ("understudy", asked.answers[0])
    played = understudy.cli.verl.play(str(tmp_path / "grpo.toml"))
    assert played is understudy.cli.verl.play(str(tmp_path / "grpo.toml"))
    model = tiny.build_model(tokenizer, context=8000)
    loop = loop_of(Servers(model), tokenizer, played, prompt_length=7000)
    output = await loop.run(dict(SAMPLING), **row)
    assert sum(output.response_mask) == 9
