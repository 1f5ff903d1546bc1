"""A server that answers ``/v1/completions`` as vLLM documents it, with a tiny model behind it; never a real vLLM."""

from __future__ import annotations

import orjson
import torch

from faulty import FaultyServer
from understudy.errors import ModelError


class VllmServer(FaultyServer):
    """Samples token ids from token ids; wire faults as of ``FaultyServer``.

    Args:
        model: a causal language model.
        changes: what to change in every choice, such as ``token_ids=None`` for a server that knows no token ids.
        context: its ``--max-model-len``.
        wire: share of requests that meet a fault of the wire.
        only: the one kind of fault there is; all by default.
    """

    def __init__(self, model, changes=None, context=512, wire=0.0, only=""):
        super().__init__(model, wire, only=only)
        self.changes, self.context, self.requests = changes or {}, context, []

    async def _reply(self, body):
        asked = orjson.loads(body)
        self.requests.append(asked)
        prompt, limit = asked["prompt"], asked["max_tokens"]
        if len(prompt) + limit > self.context:
            raise ModelError(f"This model's maximum context length is {self.context} tokens.")
        ids, logprobs = sample(self.model, prompt, limit, asked["temperature"], asked["seed"], asked["stop_token_ids"])
        stopped = ids[-1] in asked["stop_token_ids"]
        told = {"tokens": ["?"] * len(ids), "token_logprobs": logprobs, "top_logprobs": [{}], "text_offset": [0]}
        choice = {
            "index": 0, "text": "?", "finish_reason": "stop" if stopped else "length",
            "stop_reason": ids[-1] if stopped else None, "logprobs": told if "logprobs" in asked else None,
            "token_ids": ids if asked.get("return_token_ids") else None,
            "prompt_token_ids": prompt if asked.get("return_token_ids") else None, "prompt_logprobs": None,
        }  # fmt: skip
        return {
            "id": "cmpl-1",
            "object": "text_completion",
            "model": asked["model"],
            "choices": [choice | self.changes],
        }


@torch.no_grad()
def sample(model, prompt, limit, temperature, seed, stops):
    """Sampled ids and their log-probabilities with the temperature applied (``--logprobs-mode processed_logprobs``)."""
    generator, ids, logprobs = torch.Generator().manual_seed(seed), list(prompt), []
    while len(logprobs) < limit and not (logprobs and ids[-1] in stops):
        table = (model(torch.tensor([ids])).logits[0, -1].float() / (temperature or 1.0)).log_softmax(-1)
        drawn = (
            torch.multinomial(table.exp(), 1, generator=generator) if temperature else table.argmax(-1, keepdim=True)
        )
        ids.append(int(drawn))
        logprobs.append(float(table[ids[-1]]))
    return ids[len(prompt) :], logprobs
