"""Engines: the same tokens as the model itself gives, whoever shares the batch."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

import tiny
from understudy.errors import InputError
from understudy.training.decoder import Decoder, supports
from understudy.training.engine import draw
from understudy.training.generate import GenerateEngine
from understudy.training.static import StaticEngine

STOP = 1


def other_family(config, build, vocabulary):
    torch.manual_seed(1)
    model = build(
        config(
            vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
            intermediate_size=48, max_position_embeddings=256, tie_word_embeddings=False, initializer_range=0.1,
        )
    )  # fmt: skip
    for name, parameter in model.named_parameters():
        if "norm" in name or "bias" in name:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture(params=["qwen3", "qwen2", "llama"])
def any_model(request, tokenizer):
    match request.param:
        case "qwen3":
            return tiny.build_model(tokenizer)
        case "qwen2":
            return other_family(Qwen2Config, Qwen2ForCausalLM, len(tokenizer))
        case _:
            return other_family(LlamaConfig, LlamaForCausalLM, len(tokenizer))


def test_the_decoder_gives_the_models_logits(any_model):
    decoder = Decoder(any_model, rows=5)
    rng = random.Random(0)
    texts = [[rng.randrange(300) for _ in range(size)] for size in (30, 150, 41)]
    with torch.inference_mode():
        whole = [any_model(torch.tensor([text])).logits[0] for text in texts]
        decoder.extend([4, 0, 1], [texts[0][:10], texts[1][:130], texts[2][:7]], [0, 0, 0])
        decoder.copy([4], [2], 10)
        decoder.exchange([0], [1], 130)
        extended = decoder.extend([2, 1, 0], [texts[0][10:], texts[1][130:-1], texts[2][7:-2]], [10, 130, 7])
        stepped = decoder.step(torch.tensor([texts[2][-2], texts[1][-1]]), torch.tensor([39, 149]), 150)
    expected = [whole[0][-1], whole[1][-2], whole[2][-3], whole[2][-2], whole[1][-1]]
    for got, want in zip([*extended, *stepped], expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-4, rtol=0)


def plan(seed: int, slots: int, groups: int):
    """Per slot: a prompt shared by its group, turns of random limits, observations in between."""
    rng = random.Random(seed)
    prompts = [[rng.randrange(20, 300) for _ in range(rng.randint(3, 40))] for _ in range(groups)]
    return [
        (prompts[slot % groups], [(rng.randint(1, 12), [rng.randrange(300)] * rng.randint(1, 9)) for _ in range(3)])
        for slot in range(slots)
    ]


async def converse(engine, index, prompt, turns, temperature=1.0, pause=0):
    slot, generator, new, said = engine.open(temperature), np.random.default_rng(index), prompt, []
    for limit, observation in turns:
        completion = await slot.sample(new, limit, generator)
        said.append(completion)
        new = observation
        for _ in range(pause):
            await asyncio.sleep(0)
    slot.close()
    return said


async def converse_all(engine, conversations, temperature=1.0):
    return await asyncio.gather(
        *(
            converse(engine, index, *conversation, temperature=temperature, pause=index % 13)
            for index, conversation in enumerate(conversations)
        )
    )


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
async def test_both_engines_draw_the_same_tokens(any_model, temperature):
    conversations = plan(0, slots=9, groups=3)
    static = await converse_all(StaticEngine(any_model, STOP, rows=6), conversations, temperature)
    generate = await converse_all(GenerateEngine(any_model, STOP, rows=5), conversations, temperature)
    for ours, theirs in zip(static, generate, strict=True):
        assert [turn.ids for turn in ours] == [turn.ids for turn in theirs]
        for turn, other in zip(ours, theirs, strict=True):
            assert turn.logprobs == pytest.approx(other.logprobs, abs=1e-4)


async def test_samples_do_not_depend_on_who_shares_the_batch(model):
    conversations = plan(1, slots=24, groups=4)
    engine = StaticEngine(model, STOP, rows=16)
    together = await converse_all(engine, conversations)
    alone = [await converse(engine, index, *one) for index, one in enumerate(conversations)]
    assert [[turn.ids for turn in said] for said in together] == [[turn.ids for turn in said] for said in alone]


async def test_logprobs_are_the_models_own(model):
    temperature = 0.8
    for prompt, turns in plan(2, slots=3, groups=3):
        said = await converse(StaticEngine(model, STOP), 0, prompt, turns, temperature)
        ids, sampled = list(prompt), []
        for turn, (_, observation) in zip(said, turns, strict=True):
            sampled += range(len(ids), len(ids) + len(turn.ids))
            ids += [*turn.ids, *observation]
        with torch.inference_mode():
            table = (model(torch.tensor([ids])).logits[0] / temperature).log_softmax(-1)
        expected = [float(table[position - 1, ids[position]]) for position in sampled]
        assert [value for turn in said for value in turn.logprobs] == pytest.approx(expected, abs=1e-4)


async def test_a_turn_ends_at_the_stop_token_or_its_limit(model):
    engine = StaticEngine(model, STOP)
    said = await asyncio.gather(*(converse(engine, index, [5, 6], [(60, [7])]) for index in range(40)))
    ended = [turn for (turn,) in said if turn.ids[-1] == STOP]
    assert ended
    assert all(STOP not in turn.ids[:-1] for (turn,) in said)
    assert all(len(turn.ids) == 60 for (turn,) in said if turn.ids[-1] != STOP)


@pytest.mark.parametrize("kind", [StaticEngine, GenerateEngine])
async def test_a_waiting_rollout_holds_nobody_up(model, kind):
    """With a barrier per turn this would never end: the first needs the second's last turn before its own second."""
    engine, done = kind(model, STOP), asyncio.Event()

    async def first():
        slot, generator = engine.open(1.0), np.random.default_rng(0)
        await slot.sample([5], 3, generator)
        await done.wait()
        await slot.sample([6], 3, generator)
        slot.close()

    async def second():
        await converse(engine, 1, [5], [(4, [7])] * 4)
        done.set()

    async with asyncio.timeout(20):
        await asyncio.gather(first(), second())


async def test_a_slot_that_is_given_up_leaves_the_others_as_they_are(model):
    conversations = plan(3, slots=6, groups=2)
    engine = StaticEngine(model, STOP, rows=3)
    undisturbed = await converse_all(engine, conversations)

    async def impatient():
        slot = engine.open(1.0)
        try:
            async with asyncio.timeout(0):
                await slot.sample(conversations[0][0], 100, np.random.default_rng(9))
        except TimeoutError:
            slot.close()
            slot.close()

    disturbed, *_ = await asyncio.gather(converse_all(engine, conversations), impatient(), impatient())
    assert [[turn.ids for turn in said] for said in disturbed] == [[turn.ids for turn in said] for said in undisturbed]


async def test_new_weights_are_read_when_all_slots_are_closed(model):
    engine, conversation = StaticEngine(model, STOP), plan(4, slots=1, groups=1)[0]
    before = await converse(engine, 0, *conversation)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    after, fresh = await converse(engine, 0, *conversation), await converse(StaticEngine(model, STOP), 0, *conversation)
    assert [turn.logprobs for turn in after] == [turn.logprobs for turn in fresh]
    assert [turn.logprobs for turn in after] != [turn.logprobs for turn in before]


@pytest.mark.parametrize("kind", [StaticEngine, GenerateEngine])
async def test_what_does_not_fit_is_refused(model, kind):
    engine = kind(model, STOP)
    for ids, limit in (([5] * 510, 10), ([], 5), ([5], 0)):
        with pytest.raises(InputError, match="can't sample"):
            await engine.open(1.0).sample(ids, limit, np.random.default_rng(0))


@pytest.mark.parametrize("kind", [StaticEngine, GenerateEngine])
async def test_a_broken_model_is_an_error_for_who_waits(model, kind):
    engine = kind(model, STOP)
    slot = engine.open(1.0)
    with pytest.raises(Exception, match="index"):
        await slot.sample([10_000], 5, np.random.default_rng(0))


def test_an_unknown_family_is_left_to_generate(model):
    assert supports(model)
    model.config.model_type = "mamba"
    assert not supports(model)
    with pytest.raises(InputError, match="generate"):
        Decoder(model, rows=1)


def test_draw_follows_the_distribution():
    logits = torch.tensor([[0.0, 1.0, 2.0, -1e9]]).expand(4000, 4)
    ids, logprobs = draw(logits, torch.full((4000,), 2.0), torch.linspace(0, 1 - 1e-7, 4000))
    expected = (logits[0] / 2).softmax(-1)
    assert torch.allclose(ids.bincount(minlength=4) / 4000, expected, atol=1e-3)
    assert torch.allclose(logprobs.exp(), expected[ids])
