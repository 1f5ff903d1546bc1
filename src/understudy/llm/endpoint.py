"""A chat model behind any OpenAI-compatible endpoint: vLLM, SGLang, Ollama, or hosted.

The one place where requests are retried. Rate limits, server errors, time-outs, broken connections and broken bodies
are tried again with exponential back-off and full jitter, never sooner than the server's ``Retry-After``; what can't
get better (a wrong key, an unknown model, a bad request, no money left) fails at once.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import random
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import openai
from pydantic import Field

from understudy.config import Config
from understudy.errors import InputError, ModelError
from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.llm.wire import StructuredOutput, to_body, to_reply

_RETRIED = frozenset((408, 409, 425, 429))
_LONGEST_BACKOFF = 30.0


class EndpointSettings(Config):
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

    timeout: float = Field(default=120.0, gt=0)
    """Seconds for one attempt, body included; also the longest ``Retry-After`` that is waited for."""

    attempts: int = Field(default=6, ge=1)
    """Attempts per request."""

    backoff: float = Field(default=0.5, gt=0)
    """Seconds: upper bound of the first wait; it doubles with every attempt, to 30 at most."""

    extra: dict[str, Any] = Field(default_factory=dict)
    """Keys added to every request body, such as ``top_p`` or ``chat_template_kwargs``."""

    omit: tuple[str, ...] = ()
    """Keys left out of every request body because this server refuses them, such as ``seed`` or ``max_tokens``."""


class Endpoint:
    """A ``ChatModel`` over HTTP. Close it, or use it as ``async with Endpoint(settings) as model``.

    Raises:
        InputError: the named environment variable holds no key.
    """

    def __init__(self, settings: EndpointSettings) -> None:
        self.name = settings.model
        self._settings = settings
        self._where = f"{settings.model} at {urlsplit(settings.base_url).netloc.rpartition('@')[2]}"
        self._key = _key(settings.api_key_env)
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._jitter = random.Random()  # unseeded: processes must not retry in step, and no result depends on it
        limits = httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        # The client would add whatever OPENAI_* variables hold; only what is configured goes to this server.
        unsent = ["OpenAI-Organization", "OpenAI-Project"] + ([] if self._key else ["Authorization"])
        self._options: Any = {"headers": dict.fromkeys(unsent, openai.Omit())}
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            admin_api_key="",
            base_url=settings.base_url,
            max_retries=0,
            timeout=settings.timeout,
            http_client=openai.DefaultAsyncHttpxClient(limits=limits),
        )

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request, trying again where that can help.

        Raises:
            ModelError: no usable answer.
        """
        settings = self._settings
        body = to_body(request, settings.model, settings.structured_output) | settings.extra
        for key in settings.omit:
            body.pop(key, None)
        for attempt in range(1, settings.attempts + 1):
            wait = 0.0
            try:
                async with self._slots, asyncio.timeout(settings.timeout):
                    response = await self._client.post(
                        "/chat/completions", cast_to=httpx2.Response, body=body, options=self._options
                    )
                return to_reply(response.content)
            except openai.APIStatusError as error:
                problem = f"HTTP {error.status_code}: {_server_message(error)}"
                if not _may_pass(error):
                    raise self._error(problem, attempt) from None
                wait = retry_after(error.response.headers)
                if wait > settings.timeout:
                    raise self._error(f"{problem} (asks to wait {wait:.0f} s)", attempt) from None
            except (TimeoutError, openai.APITimeoutError):
                problem = f"no reply within {settings.timeout:g} s"
            except openai.APIConnectionError as error:
                problem = f"connection failed ({error.__cause__ or error})"
            except ValueError as error:
                problem = str(error)
            if attempt < settings.attempts:
                bound = min(_LONGEST_BACKOFF, settings.backoff * 2 ** (attempt - 1))
                await asyncio.sleep(wait + self._jitter.uniform(0, bound))
        raise self._error(problem, settings.attempts)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _error(self, problem: str, attempts: int) -> ModelError:
        line = " ".join(problem.split())
        if self._key:  # some servers repeat the key they refuse
            line = line.replace(self._key, "***")
        return ModelError(f"{self._where}: {line[:300]} ({attempts} attempt{'s' if attempts > 1 else ''})")


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to wait: ``Retry-After`` in seconds or as a date, or ``retry-after-ms``; 0 if none."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            seconds = float(value) / unit
        except ValueError:
            parsed = email.utils.parsedate_tz(value)
            seconds = email.utils.mktime_tz(parsed) - time.time() if parsed else 0.0
        if seconds > 0:  # neither negative nor nan
            return seconds
    return 0.0


def _key(variable: str | None) -> str:
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise InputError(f"environment variable {variable} holds no API key; set it, or configure no api_key_env")
    return key


def _may_pass(error: openai.APIStatusError) -> bool:
    """Whether the same request may succeed later. An account without money answers 429 too, but stays without."""
    if error.code == "insufficient_quota":
        return False
    return error.status_code in _RETRIED or error.status_code >= 500


def _server_message(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else body
    return str(message or error.response.reason_phrase)
