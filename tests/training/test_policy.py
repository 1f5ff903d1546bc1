"""A model as a policy: token-exact, within its limits, and the same whatever the order of arrival."""

from __future__ import annotations

import asyncio
from copy import deepcopy

import pytest

from handmade import TASK
from strategies import CONTRACT
from understudy.rollout import Limits, rollout
from understudy.trace import Fault, Observation, ParseFault, Source, Stop
from understudy.training.models import save_model
from understudy.training.policy import ModelPolicy, load_policy
from understudy.training.render import Renderer
from understudy.training.static import StaticEngine
from understudy.world import World


class LookUp:
    """Answers any call after some turns of the event loop."""

    name = "look-up"

    def __init__(self, pause=0):
        self.pause = pause

    def source_of(self, contract):
        return Source.SIMULATED

    async def call(self, contract, call, world):
        await asyncio.sleep(self.pause)
        return Observation(call_id=call.id, name=call.name, content={"director": "B"}, source=Source.SIMULATED)


@pytest.fixture
def engine(model, renderer):
    return StaticEngine(model, renderer.end_id)


async def run(policy, seed, limits=None, pause=0.0):
    await asyncio.sleep(pause)
    limits = limits or Limits(max_turns=2, max_faults=3, max_tokens=400)
    return await rollout(TASK, (CONTRACT,), World("t"), policy, LookUp(), limits, seed)


async def test_the_trace_holds_the_sampled_tokens_where_tokenising_again_would_differ(engine, renderer, tokenizer):
    policy = ModelPolicy(engine, renderer, max_turn_tokens=60)
    traces = await asyncio.gather(*(run(policy, seed) for seed in range(30)))
    differ = 0
    for trace in traces:
        tokens = trace.tokens
        assert list(tokens.prompt) == renderer.prompt(TASK.question, (CONTRACT,))
        assert len(tokens.completion) == len(tokens.mask) == len(tokens.logprobs)
        ids = [token for token, on in zip(tokens.completion, tokens.mask, strict=True) if on]
        assert len(ids) == trace.provenance.usage["sampled"]
        text = tokenizer.decode(ids)
        assert all(step.turn.raw in text for step in trace.steps if isinstance(step.turn, ParseFault))
        differ += tokenizer(text, add_special_tokens=False)["input_ids"] != ids
    assert differ > 0  # so a transcript that is tokenised again would train on tokens that nobody sampled


async def test_order_of_arrival_changes_nothing(engine, renderer):
    policy = ModelPolicy(engine, renderer, max_turn_tokens=40)
    forth = await asyncio.gather(*(run(policy, seed, pause=seed / 1000) for seed in range(12)))
    back = await asyncio.gather(*(run(policy, seed, pause=(12 - seed) / 1000) for seed in reversed(range(12))))
    assert [trace.tokens.completion for trace in forth] == [trace.tokens.completion for trace in reversed(back)]


async def test_a_turn_that_is_cut_off_ends_the_rollout(engine, renderer):
    traces = [await run(ModelPolicy(engine, renderer, max_turn_tokens=3), seed) for seed in range(5)]
    cut = [trace for trace in traces if trace.stop is Stop.MAX_TOKENS]
    assert cut
    assert all(trace.steps[-1].turn.fault is Fault.TRUNCATED for trace in cut)


async def test_the_context_is_never_exceeded(engine, renderer):
    size = len(renderer.prompt(TASK.question, (CONTRACT,))) + 25
    policy = ModelPolicy(engine, renderer, max_turn_tokens=500, max_context=size)
    for seed in range(5):
        trace = await run(policy, seed)
        assert len(trace.tokens.prompt) + len(trace.tokens.completion) <= size
        assert trace.stop in (Stop.MAX_TOKENS, Stop.ANSWERED)
    full = await run(ModelPolicy(engine, renderer, max_context=10), 0)
    assert (full.stop, full.tokens) == (Stop.MAX_TOKENS, None)
    assert "context of 10" in full.steps[-1].turn.detail


async def test_limits_of_the_engine_are_kept_after_every_rollout(engine, renderer):
    """Slots come back however a rollout ends: more rollouts than rows, some timed out, then a full house again."""
    policy = ModelPolicy(engine, renderer, max_turn_tokens=60)
    short = Limits(max_turns=2, max_faults=3, max_tokens=400, timeout=0.02)
    await asyncio.gather(*(run(policy, seed, limits=short) for seed in range(150)))
    traces = await asyncio.gather(*(run(policy, seed) for seed in range(150)))
    assert all(trace.stop is not Stop.TIMEOUT for trace in traces)


async def test_a_saved_model_is_loaded_as_a_policy_named_after_its_weights(tmp_path, model, renderer):
    save_model(model, renderer, tmp_path)
    policy = load_policy(str(tmp_path), max_turn_tokens=8)
    assert (policy.temperature, policy.max_turn_tokens) == (0.0, 8)
    assert policy.renderer.template == renderer.template
    assert (await run(policy, seed=0)).provenance.policy == policy.name == load_policy(str(tmp_path)).name
    for parameter in model.parameters():
        parameter.data += 1
    save_model(model, renderer, tmp_path)
    assert load_policy(str(tmp_path)).name != policy.name


def test_a_saved_model_is_spoken_to_as_in_training(tmp_path, model, renderer):
    briefed = Renderer(deepcopy(renderer.tokenizer), renderer.template, "Be brief.")
    save_model(model, briefed, tmp_path)
    again = load_policy(str(tmp_path)).renderer
    assert again.prompt("Who?", ()) == briefed.prompt("Who?", ()) != renderer.prompt("Who?", ())
