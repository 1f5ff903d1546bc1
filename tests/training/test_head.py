"""The output head for CPUs gives what TRL's gives: log-probabilities, entropies, hits and gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from trl.trainer.utils import add_fused_lm_head

from understudy.training.head import score_labelled_only


def outputs(model, ids, labels):
    found = model(input_ids=ids, labels=labels, fused_lm_head=True)
    (found.log_probs.sum() + found.loss).backward()
    return found, {name: value.grad for name, value in model.named_parameters()}


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_agrees_with_the_fused_head(model, temperature):
    twin = copy.deepcopy(model)
    for one in (model, twin):
        add_fused_lm_head(one, temperature=temperature, outputs=("log_probs", "entropy", "is_top1"))
    theirs = model.forward
    score_labelled_only(twin, temperature)
    assert twin.forward is not theirs
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, model.config.vocab_size, (3, 20), generator=generator)
    labels = ids.masked_fill(torch.rand(3, 20, generator=generator) < 0.4, -100)
    labels[1] = -100
    (one, slopes), (other, others) = outputs(model, ids, labels), outputs(twin, ids, labels)
    for name in ("loss", "log_probs", "entropy"):
        torch.testing.assert_close(getattr(other, name), getattr(one, name), atol=1e-5, rtol=1e-5)
    for name in ("is_top1", "label_mask"):
        assert torch.equal(getattr(other, name).bool(), getattr(one, name).bool())
    for name, slope in slopes.items():
        torch.testing.assert_close(others[name], slope, atol=1e-5, rtol=1e-4)


def test_generation_is_left_alone(model):
    before = model(input_ids=torch.tensor([[5, 6, 7]])).logits
    add_fused_lm_head(model)
    score_labelled_only(model)
    assert torch.equal(model(input_ids=torch.tensor([[5, 6, 7]])).logits, before)
