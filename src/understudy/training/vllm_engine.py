"""The engine behind a vLLM server: token ids go in, sampled token ids and their log-probabilities come out.

Every turn is a request of its own to ``/v1/completions``, so no rollout waits for another: the server batches what is
there, and its prefix cache spares it what a rollout's earlier turns have computed. Nothing is tokenised on the way: a
server that does not return token ids is refused. The seed of a request follows from the rollout's random numbers.

The weights on the server are not this engine's concern: in training, TRL's client sends them (``grpo_trainer``).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson

from understudy.errors import InputError, ModelError, OutageError
from understudy.llm.retry import Retries, accept
from understudy.llm.transport import HttpTransport, Transport
from understudy.training.engine import Completion, uniforms
from understudy.training.settings import VllmSettings


class VllmEngine:
    """See the module. Close it on the event loop that it was used on.

    Args:
        settings: where the server is, and how long it is waited for.
        model: the name it serves the model under, where the settings name none.
        stop_id: the token that ends a turn.
        context: tokens that a slot can hold; the server's ``--max-model-len`` or less.
        transport: how requests get there; None for HTTP.
    """

    def __init__(
        self, settings: VllmSettings, model: str, stop_id: int, context: int, transport: Transport | None = None
    ) -> None:
        self._settings, self._stop, self._context = settings, stop_id, context
        self._model = settings.model or model
        self._where = f"{self._model} at {urlsplit(settings.url).netloc.rpartition('@')[2]}"
        self._retries = Retries(self._where, settings, ModelError)
        self._transport = transport or HttpTransport(f"{settings.url.rstrip('/')}/v1/completions", "")

    @property
    def context(self) -> int:
        """Tokens that a slot can hold."""
        return self._context

    def open(self, temperature: float) -> VllmSlot:
        """Start a conversation."""
        return VllmSlot(self, temperature)

    async def complete(self, ids: list[int], max_tokens: int, temperature: float, seed: int) -> Completion:
        """Sample a turn after ``ids``, trying again where that can help.

        Raises:
            ModelError: no usable answer.
            OutageError: the server can't be reached, refuses whatever it is asked, or returns no token ids.
        """
        # Named, because a server fills in what is left out from the model's own defaults, penalties among them.
        body = orjson.dumps({
            "model": self._model, "prompt": ids, "max_tokens": max_tokens, "temperature": temperature, "seed": seed,
            "n": 1, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0,
            "frequency_penalty": 0.0, "stop_token_ids": [self._stop], "ignore_eos": True, "logprobs": 0,
            "return_token_ids": True,
        })  # fmt: skip

        async def attempt() -> Completion:
            async with asyncio.timeout(self._settings.timeout):
                response = await self._transport.post(body)
            return self._read(accept(response), ids, max_tokens)

        return await self._retries.until_answered(attempt)

    def _read(self, body: bytes, prompt: list[int], max_tokens: int) -> Completion:
        try:
            choice: dict[str, Any] = orjson.loads(body)["choices"][0]
            ids, told = choice.get("token_ids"), choice.get("logprobs") or {}
        except (KeyError, IndexError, TypeError, AttributeError):
            raise ValueError("not a completion") from None
        logprobs = told.get("token_logprobs")
        # Neither gets better by asking again.
        if not isinstance(ids, list) or not isinstance(logprobs, list):
            raise OutageError(f"{self._where}: returns no token ids or log-probabilities; use vLLM 0.10.2 or later")
        if choice.get("prompt_token_ids") not in (None, prompt):
            raise OutageError(f"{self._where}: read another prompt than it was sent")
        if not 0 < len(ids) == len(logprobs) <= max_tokens or not all(isinstance(one, float) for one in logprobs):
            raise ValueError(f"{len(ids)} tokens with {len(logprobs)} log-probabilities, of {max_tokens} asked for")
        return Completion(ids, logprobs)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


class VllmSlot:
    """One conversation: its tokens, and the request that is under way."""

    def __init__(self, engine: VllmEngine, temperature: float) -> None:
        self._engine, self._temperature = engine, temperature
        self._ids: list[int] = []
        self._asked: asyncio.Task[Completion] | None = None

    async def sample(self, new_ids: Sequence[int], max_tokens: int, generator: np.random.Generator) -> Completion:
        """See ``engine.Slot``; the same random numbers give the same seed, and with it the same tokens."""
        self._ids += new_ids
        if not self._ids or max_tokens < 1 or len(self._ids) + max_tokens > self._engine.context:
            raise InputError(
                f"can't sample {max_tokens} tokens after {len(self._ids)}; the context holds {self._engine.context}"
            )
        seed = zlib.crc32(uniforms(generator, max_tokens).tobytes())
        asked = self._engine.complete(list(self._ids), max_tokens, self._temperature, seed)
        self._asked = asyncio.ensure_future(asked)
        completion = await self._asked
        self._ids += completion.ids
        return completion

    def close(self) -> None:
        """Give up what is still waited for; the server stops sampling it."""
        if self._asked is not None:
            self._asked.cancel()
