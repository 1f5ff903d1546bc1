"""GRPO: what carries gradient, who is to blame, and that a killed run goes on as if nothing had happened."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import pytest
import torch
from pydantic import ValidationError

from guessing import Killed, LookUp, configured, metrics
from understudy.agents.judge import Judge
from understudy.errors import InputError, UnderstudyError
from understudy.llm.scripted import ScriptedChat
from understudy.reward.composite import Weights
from understudy.training.engines import engine_of
from understudy.training.grpo import _trainer, grpo, schedule
from understudy.training.grpo_trainer import without_padding
from understudy.training.models import load_model, make_renderer
from understudy.training.policy import ModelPolicy
from understudy.training.rollouts import TaskSet, shuffled


@pytest.fixture
def rolled(start, given, tmp_path):
    """A trainer that has just rolled out a batch, before any update."""
    trainers = []

    def make(tools, **changes):
        config = configured(start, **changes)
        model, tokenizer = load_model(config.model)
        trainer = _trainer(config, tmp_path, model, tokenizer, given)
        trainers.append(trainer)
        renderer = make_renderer(tokenizer)
        engine = engine_of(config, trainer, renderer.end_id, AsyncExitStack())
        policy = ModelPolicy(engine, renderer, config.temperature, config.max_turn_tokens, "m", config.max_context)
        trainer.connect(policy, given, tools, config)
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = 1
        rows = [trainer.train_dataset[at // config.generations] for at in range(config.prompts * config.generations)]
        return trainer, trainer._generate_and_score_completions(rows)

    yield make
    for trainer in trainers:
        trainer.runner.close()


def gradient(trainer, loss):
    trainer.model.zero_grad()
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in trainer.model.parameters()])


@pytest.mark.parametrize("engine", ["static", "generate", "trl"])
def test_the_gradient_is_the_policy_gradient_over_sampled_tokens(rolled, engine):
    trainer, batch = rolled(LookUp(), engine=engine, temperature=0.9, prompts=4)
    mask = batch["completion_mask"] * batch["tool_mask"]
    assert 0 < mask.sum() < batch["completion_mask"].sum()  # some tokens are sampled, some observed
    assert batch["advantages"].any()
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    seen = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    positions = (seen.cumsum(1) - 1).clamp(min=0)
    logits = trainer.model(ids, attention_mask=seen, position_ids=positions).logits / 0.9
    table = logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
    logprobs = table[:, -mask.shape[1] :]
    apart = (logprobs.detach() - batch["sampling_per_token_logps"]).abs() * mask
    assert apart.max() < 1e-3
    expected = gradient(trainer, -(logprobs * mask * batch["advantages"][:, None]).sum() / mask.sum() * 2)
    got = gradient(trainer, trainer._compute_loss(trainer.model, batch))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-3)
    assert trainer._metrics["train"]["sampling/logprob_difference"][0] < 1e-4


def test_a_simulator_failure_within_a_group_gives_no_gradient_and_no_baseline(rolled):
    tools = LookUp(broken="ab")
    trainer, batch = rolled(tools, prompts=4, generations=8)
    rewards = trainer.batch.rewards
    failed = torch.tensor([reward.masked for reward in rewards])
    for group in range(4):  # of the groups, those that were hit within
        part = slice(8 * group, 8 * group + 8)
        kept = torch.tensor([reward.total for reward in rewards[part] if not reward.masked])
        if 0 < int(failed[part].sum()) < 7 and kept.std() > 0:
            expected = (kept - kept.mean()) / (kept.std() + 1e-4)
            torch.testing.assert_close(batch["advantages"][part][~failed[part]], expected)
            break
    else:
        raise AssertionError("no group was hit in the middle")
    assert not batch["advantages"][failed].any()
    assert not (batch["tool_mask"] * batch["completion_mask"])[failed].any()
    whole = gradient(trainer, trainer._compute_loss(trainer.model, batch))
    batch["completion_ids"][failed] = 7
    torch.testing.assert_close(gradient(trainer, trainer._compute_loss(trainer.model, batch)), whole)


def test_a_group_shares_one_world(rolled, given):
    tools = LookUp()
    rolled(tools, prompts=2, generations=8)
    assert len(tools.seen) > 2
    assert {id(world) for world in tools.seen} <= {id(world) for world in given.worlds.values()}


@pytest.mark.parametrize("beta", [0.0, 0.05])
def test_leaving_out_padding_changes_nothing(rolled, beta):
    trainer, batch = rolled(LookUp(), prompts=4, beta=beta)
    batch["advantages"][1:4] = 0.0
    small = without_padding({**batch}, int((batch["advantages"] != 0).sum()) if beta == 0 else None)
    assert small["completion_ids"].numel() < batch["completion_ids"].numel() or beta > 0
    ours = trainer._compute_loss(trainer.model, batch)
    theirs = super(type(trainer), trainer)._compute_loss(trainer.model, batch)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient(trainer, ours), gradient(trainer, theirs), atol=1e-6, rtol=1e-4)


def test_rollouts_without_any_token_are_no_crash(rolled):
    trainer, batch = rolled(LookUp(), max_context=5)
    assert not (batch["tool_mask"] * batch["completion_mask"]).any()
    assert trainer._compute_loss(trainer.model, batch).item() == 0.0
    assert trainer._metrics["train"]["stop/max_tokens"] == [1.0]


def test_the_reference_of_adapters_is_the_model_without_them(rolled):
    trainer, _ = rolled(LookUp(), prompts=4, beta=0.05, lora={"r": 4, "alpha": 8})
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.2)
    batch = trainer._generate_and_score_completions(
        [trainer.train_dataset[at // trainer.num_generations] for at in range(4 * trainer.num_generations)]
    )
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    seen = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad(), trainer.model.disable_adapter():
        expected, _, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, seen, batch["completion_ids"].shape[1]
        )
    mask = batch["completion_mask"] * batch["tool_mask"]
    torch.testing.assert_close(batch["ref_per_token_logps"] * mask, expected * mask, atol=1e-5, rtol=1e-4)
    assert ((batch["ref_per_token_logps"] - batch["sampling_per_token_logps"]) * mask).abs().max() > 1e-2


@pytest.mark.parametrize(("optimizer", "beta"), [("adamw", 0.0), ("muon", 0.05)])
def test_a_killed_run_goes_on_exactly(start, given, tmp_path, optimizer, beta):
    config = configured(start, steps=4, iterations=2, optimizer=optimizer, beta=beta, save_every=1, validate_every=2)
    validation = TaskSet.of(list(given.tasks.values())[:3], given.toolsets)

    def kill(progress):
        if progress.step == 11:  # in the middle of a batch's optimiser steps
            raise Killed

    whole = grpo(config, tmp_path / "whole", given, LookUp(), validation)
    with pytest.raises(Killed):
        grpo(config, tmp_path / "killed", given, LookUp(), validation, on_progress=kill)
    resumed = grpo(config, tmp_path / "killed", given, LookUp(), validation, resume=True)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")
    times = {"seconds": 0, "model": ""}
    assert resumed.model_copy(update=times) == whole.model_copy(update=times)
    checkpoints = [load_model(str(tmp_path / run / "checkpoints" / "checkpoint-16"))[0] for run in ("whole", "killed")]
    first, second = (model.state_dict() for model in checkpoints)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_raises_the_reward_and_keeps_the_best_weights(start, given, tmp_path):
    config = configured(start, steps=15, prompts=4, generations=8, optimizer="adamw", lr=3e-3, validate_every=5)
    validation = TaskSet.of(list(given.tasks.values())[:2], given.toolsets)
    result = grpo(config, tmp_path, given, LookUp(), validation)
    lines = metrics(tmp_path)
    assert result.reward_last > result.reward_first + 0.25
    assert result.validation.value == max(line["validation/em"] for line in lines if "validation/em" in line) == 1.0
    assert {
        "em",
        "reward_terms/correctness",
        "entropy",
        "clip_ratio/region_mean",
        "invalid_calls",
        "stop/answered",
    } <= set(lines[0])
    _, tokenizer = load_model(result.model)
    assert make_renderer(tokenizer).template == make_renderer(tokenizer, "lab").template


@pytest.mark.parametrize("validated", [True, False])
def test_adapters_are_optimised_against_the_model_without_them(start, given, tmp_path, validated):
    config = configured(start, steps=2, beta=0.01, lr=2e-2, validate_every=1, lora={"r": 4, "alpha": 8})
    result = grpo(config, tmp_path, given, LookUp(), validation=given if validated else None)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    divergences = [line["kl"] for line in lines if "kl" in line]
    assert abs(divergences[0]) < 1e-6 < abs(divergences[-1])
    before, after = load_model(start)[0].state_dict(), load_model(result.model)[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert all(name.endswith("_proj.weight") for name in changed)
    assert changed or result.best_step == 0
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()


def test_a_schedule_meets_every_task_before_any_twice():
    order = schedule(["b", "a", "c"], 8, seed=0)
    assert sorted(order[:3]) == sorted(order[3:6]) == ["a", "b", "c"]
    assert order == schedule(["c", "b", "a"], 8, seed=0)
    assert order != schedule(["a", "b", "c"], 8, seed=1) or order != schedule(["a", "b", "c"], 8, seed=2)


def test_bad_input_is_one_line(start, given, tmp_path):
    for changes, message in (
        ({"minibatches": 3}, "can't be split into 3"),
        ({"micro_batch": 3}, "micro_batch"),
        ({"trainer": {"lerning_rate": 1}}, "lerning_rate"),
    ):
        with pytest.raises(InputError, match=message):
            grpo(configured(start, **changes), tmp_path, given, LookUp())
    with pytest.raises(InputError, match="no tasks"):
        grpo(configured(start), tmp_path, TaskSet.of([], {}), LookUp())


def test_a_judge_is_one_more_term_and_is_measured(start, given, tmp_path):
    judge = Judge(ScriptedChat(lambda request: '{"reason": "shown", "score": 6}'))
    result = grpo(configured(start, steps=1, weights=Weights(judge=0.1)), tmp_path, given, LookUp(), judge=judge)
    plain = grpo(configured(start, steps=1), tmp_path / "plain", given, LookUp())
    (line, *_) = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert line["judge/asked"] > 0
    assert line["judge/failed"] == 0
    assert line["judge/agreement"] == pytest.approx(line["em"] * 8 / line["judge/asked"])
    assert result.reward_first - plain.reward_first == pytest.approx(0.1 * line["reward_terms/judge"])


def test_a_judge_and_its_weight_go_together(start, given, tmp_path):
    with pytest.raises(InputError, match="go together"):
        grpo(configured(start, weights=Weights(judge=0.1)), tmp_path, given, LookUp())
    with pytest.raises(ValidationError, match=r"set weights\.judge"):
        configured(start, judge={"base_url": "http://localhost", "model": "m"})


def test_a_model_that_cannot_be_sampled_from_stops_the_run(rolled, monkeypatch):
    async def refuse(self, observations):
        raise UnderstudyError("weights are gone")

    monkeypatch.setattr("understudy.training.policy.ModelSession.step", refuse)
    with pytest.raises(UnderstudyError, match="weights are gone"):
        rolled(LookUp())


def test_shuffled_rewards_stay_within_their_group_and_with_the_rollouts_that_count():
    rewards = [0.0, 1.0, None, 2.0, 3.0, 4.0, 5.0, None]
    dealt = [shuffled(rewards, 4, seed) for seed in range(20)]
    for one in dealt:
        assert [reward is None for reward in one] == [reward is None for reward in rewards]
        for start in (0, 4):
            assert {*one[start : start + 4]} == {*rewards[start : start + 4]}
    assert len({tuple(one) for one in dealt}) > 5
    assert shuffled(rewards, 4, 7) == dealt[7]


def test_with_shuffled_rewards_the_reward_says_nothing_about_its_rollout(start, given, tmp_path):
    """The same sampled rollouts, the same rewards in each group, dealt out otherwise."""
    results = [
        grpo(configured(start, steps=1, shuffle_rewards=shuffle), tmp_path / str(shuffle), given, LookUp())
        for shuffle in (False, True)
    ]
    assert results[0].reward_first == pytest.approx(results[1].reward_first)
    weights = [(tmp_path / str(shuffle) / "model" / "model.safetensors").read_bytes() for shuffle in (False, True)]
    assert weights[0] != weights[1]
