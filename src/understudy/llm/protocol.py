"""Chat models behind one protocol: what an agent asks, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from understudy.messages import Message


class Role(StrEnum):
    """The agents that ask chat models."""

    TOOLMAKER = "toolmaker"
    FACTDRAFTER = "factdrafter"
    TOOLACTOR = "toolactor"
    AUTOAGENT = "autoagent"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. Everything that determines the answer is here, so it is also what a cache is keyed by.

    Attributes:
        role: which agent asks, a value of ``Role``.
        messages: OpenAI chat messages; ``arguments`` of tool calls are objects.
        tools: OpenAI function objects offered for native calling; empty for none.
        response_schema: JSON Schema that the content must satisfy; None for free text.
        temperature: sampling temperature.
        max_tokens: limit of the answer in tokens.
        seed: sampling seed; equal requests with equal seeds may be answered from a cache.
    """

    role: str
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    response_schema: dict[str, Any] | None = None
    temperature: float = 0.0
    max_tokens: int = 2048
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One answer.

    Attributes:
        message: the assistant message, ``tool_calls`` as on the wire (``arguments`` may be JSON text).
        finish_reason: ``stop``, ``length`` or ``tool_calls``.
        prompt_tokens: tokens read; 0 when the endpoint does not say.
        completion_tokens: tokens written; 0 when the endpoint does not say.
        cost: money by the configured price list; 0 without one.
    """

    message: Message = field(default_factory=dict)
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @property
    def content(self) -> str:
        """The text of the message."""
        return self.message.get("content") or ""


class ChatModel(Protocol):
    """Anything that answers chat requests. Retries, rate limits, cache and cost live behind this, nowhere else."""

    @property
    def name(self) -> str:
        """How provenance names it."""
        ...

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request.

        Raises:
            ModelError: there is no usable answer after the retries of this layer.
            OutageError: no request will have one.
        """
        ...
