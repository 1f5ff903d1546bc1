"""The Judge: how good a trace is in the eyes of a chat model. It sees no accepted answer.

What it reads was written by the policy that it judges, so its score is bounded. A Judge that fails says so in its
verdict, and never raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.agents.ask import ask
from understudy.agents.prompt import load
from understudy.errors import UnderstudyError
from understudy.llm.protocol import ChatModel, ChatReply, ChatRequest
from understudy.messages import to_messages
from understudy.schema import dumps, violations
from understudy.trace import Trace

BEST = 10
MAX_CHARACTERS = 24_000
REPLY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 500},
        "score": {"type": "integer", "minimum": 0, "maximum": BEST},
    },
    "required": ["reason", "score"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the Judge says of a trace.

    Attributes:
        score: in [0, 1]; None when it failed.
        reason: a sentence, or how it failed.
        tokens: read and written, whether or not it failed.
        cost: money by the price list.
    """

    score: float | None
    reason: str
    tokens: int
    cost: float


class Judge:
    """Judges traces.

    Args:
        model: who judges.
        attempts: requests per trace at most.
    """

    def __init__(self, model: ChatModel, attempts: int = 2) -> None:
        self._model, self._attempts = model, attempts
        self._prompt = load("judge")
        self.prompts: Mapping[str, str] = {self._prompt.name: self._prompt.sha256}

    async def judge(self, trace: Trace, seed: int = 0) -> Verdict:
        """Judge a trace that has an answer. Traces are cut after ``MAX_CHARACTERS``; the answer is always shown."""
        spent = _Counting(self._model)
        said = dumps(to_messages(trace)[1:])[:MAX_CHARACTERS]
        payload = {"question": trace.question, "trace": said, "answer": trace.answer}
        try:
            reply = await ask(
                spent, self._prompt, payload, REPLY, lambda value: violations(REPLY, value), self._attempts, seed
            )
        except UnderstudyError as error:
            return Verdict(None, str(error), spent.tokens, spent.cost)
        return Verdict(reply["score"] / BEST, reply["reason"], spent.tokens, spent.cost)


class _Counting:
    """A chat model that counts what its answers take."""

    def __init__(self, model: ChatModel) -> None:
        self.name, self.tokens, self.cost = model.name, 0, 0.0
        self._model = model

    async def complete(self, request: ChatRequest) -> ChatReply:
        reply = await self._model.complete(request)
        self.tokens += reply.prompt_tokens + reply.completion_tokens
        self.cost += reply.cost
        return reply
