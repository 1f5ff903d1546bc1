"""The output head of a small model on a CPU: log-probabilities of the labelled tokens, and of no others.

TRL's fused head is made for GPUs with Triton. Without it, it scores every position and computes every tile twice: half
of a training step of the lab's model, of whose tokens a half is learnt. Here the labelled positions are picked first.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 (the customary name)
from trl.trainer.utils import FusedCausalLMOutput

from understudy.training.decoder import supports


def score_labelled_only(model: Any, temperature: float = 1.0) -> None:
    """Have a model that TRL gave its fused head score labelled tokens only. Nothing changes unless it is plain.

    Args:
        model: what a TRL trainer trains; called with ``fused_lm_head=True`` and ``labels`` (rows, length), -100 where
            nothing is wanted, it returns TRL's output with fields of shape (rows, length - 1).
        temperature: that the logits are divided by.
    """
    if not supports(model):
        return
    fused = model.forward

    @functools.wraps(fused)
    def forward(*args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return fused(*args, labels=labels, **kwargs)
        kwargs.pop("num_items_in_batch", None)
        hidden = model.model(*args, **{**kwargs, "use_cache": False}).last_hidden_state[:, :-1]
        wanted = labels[:, 1:] != -100
        target = labels[:, 1:][wanted][:, None]
        logprobs = (F.linear(hidden[wanted], model.lm_head.weight) / temperature).log_softmax(-1)
        with torch.no_grad():
            entropy = -(logprobs.exp() * logprobs).sum(-1)
            first = logprobs.argmax(-1) == target[:, 0]
        picked = logprobs.gather(1, target)[:, 0]
        spread = [one.new_zeros(wanted.shape).masked_scatter(wanted, one) for one in (picked, entropy, first)]
        return FusedCausalLMOutput(
            loss=-picked.sum() / wanted.sum().clamp(min=1),
            log_probs=spread[0],
            entropy=spread[1],
            is_top1=spread[2],
            label_mask=wanted,
        )

    model.forward = forward
