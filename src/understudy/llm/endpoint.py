"""A chat model behind any OpenAI-compatible endpoint: vLLM, SGLang, Ollama, or hosted.

The one place where requests are limited: slots, and budgets per minute. ``retry`` says what is tried again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import orjson
from pydantic import Field

from understudy.config import Config
from understudy.errors import InputError, ModelError
from understudy.llm.budget import Bill, Budget
from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.llm.retry import Patience, RefusalError, Retries, accept
from understudy.llm.transport import HttpTransport, Transport
from understudy.llm.wire import StructuredOutput, to_body, to_reply


class Price(Config):
    """Money per million tokens, in any currency."""

    prompt: float = Field(default=0.0, ge=0)
    """Of tokens read."""

    completion: float = Field(default=0.0, ge=0)
    """Of tokens written."""


class EndpointSettings(Patience):
    """Where a model is, and how to treat it."""

    base_url: str = Field(pattern=r"^https?://[^\s/]+")
    """Up to and without ``/chat/completions``, as in ``http://localhost:8000/v1``."""

    model: str = Field(min_length=1)
    """The model's name there."""

    api_key_env: str | None = None
    """Environment variable that holds the key; None for local servers, to which no key is sent."""

    structured_output: StructuredOutput = StructuredOutput.JSON_SCHEMA
    """How JSON is asked for; ``none`` for servers that refuse ``response_format``."""

    concurrency: int = Field(default=64, ge=1)
    """Requests under way at once."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    """Requests in any minute at most, repeated ones included; None for no such limit."""

    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Tokens in any minute at most, read and written; None for no such limit. A request under way counts with the most
    it can come to: a token for every byte, and ``max_tokens``."""

    price: Price = Price()
    """What tokens cost; 0 for a server of one's own."""

    extra: dict[str, Any] = Field(default_factory=dict)
    """Keys added to every request body, such as ``top_p`` or ``chat_template_kwargs``."""

    omit: tuple[str, ...] = ()
    """Keys left out of every request body because this server refuses them, such as ``seed`` or ``max_tokens``."""


FREE_KEYS = ("concurrency", "requests_per_minute", "tokens_per_minute", "timeout", "attempts", "backoff", "price")
"""What may differ when a run is resumed: it changes when answers come and what they cost, not what they are."""


class Gate:
    """What requests to one model have to share: slots, and budgets per minute."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._slots = asyncio.Semaphore(settings.concurrency)
        requests, tokens = settings.requests_per_minute, settings.tokens_per_minute
        self._requests = Budget.of_requests(requests) if requests else None
        self._tokens = Budget(tokens) if tokens else None

    @asynccontextmanager
    async def enter(self, most_tokens: int) -> AsyncIterator[Bill]:
        """Wait until one more request may be sent, and hold its place until it is answered.

        Args:
            most_tokens: the most it can cost; the bill says so too until it is told better.
        """
        async with (
            self._slots,
            self._tokens.spend(most_tokens) if self._tokens else nullcontext(Bill(most_tokens)) as bill,
        ):
            if self._requests:  # last, so that a request counts when it is sent
                async with self._requests.spend(1):
                    pass
            yield bill


class Endpoint:
    """A ``ChatModel`` over HTTP. Close it, or use it as ``async with Endpoint(settings) as model``.

    Args:
        settings: where the model is, and how to treat it.
        gate: shared with other endpoints on the same model; None for one of its own.
        transport: how requests get there; None for HTTP.

    Raises:
        InputError: the named environment variable holds no key.
    """

    def __init__(
        self, settings: EndpointSettings, gate: Gate | None = None, transport: Transport | None = None
    ) -> None:
        self.name, self.settings = settings.model, settings
        key = _key(settings.api_key_env)
        where = f"{settings.model} at {urlsplit(settings.base_url).netloc.rpartition('@')[2]}"
        self._retries = Retries(where, settings, ModelError, key)
        self._gate = gate or Gate(settings)
        self._transport = transport or HttpTransport(f"{settings.base_url.rstrip('/')}/chat/completions", key)

    def encode(self, request: ChatRequest) -> bytes:
        """The body that is sent for a request."""
        settings = self.settings
        body = to_body(request, settings.model, settings.structured_output) | settings.extra
        for key in settings.omit:
            body.pop(key, None)
        return orjson.dumps(body)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request, trying again where that can help.

        Raises:
            ModelError: no usable answer.
            OutageError: the server can't be reached, or refuses whatever it is asked.
        """
        return await self.send(self.encode(request), request.max_tokens)

    async def send(self, body: bytes, max_tokens: int) -> ChatReply:
        """``complete`` for an encoded body, of which ``max_tokens`` is needed for budgets."""

        async def attempt() -> ChatReply:
            async with self._gate.enter(len(body) + max_tokens) as bill:
                async with asyncio.timeout(self.settings.timeout):
                    response = await self._transport.post(body)
                try:
                    reply = to_reply(accept(response))
                except RefusalError:
                    bill.amount = 0
                    raise
                bill.amount = reply.prompt_tokens + reply.completion_tokens or bill.amount
                return reply

        return self.priced(await self._retries.until_answered(attempt))

    def priced(self, reply: ChatReply) -> ChatReply:
        """The reply with what it costs."""
        price = self.settings.price
        cost = (reply.prompt_tokens * price.prompt + reply.completion_tokens * price.completion) / 1e6
        return replace(reply, cost=cost)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _key(variable: str | None) -> str:
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise InputError(f"environment variable {variable} holds no API key; set it, or configure no api_key_env")
    return key
