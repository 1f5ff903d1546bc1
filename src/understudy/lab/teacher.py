"""The scripted teacher: a chat model that plays every agent of the lab, from nothing but what a model would be sent.

It recognises its role by the first line of the system message, understands the lab's language (``parsing.py``,
``documents.py``) and nothing else, and errs as often as it is told to. Equal requests get equal replies: all that is
random derives from the model's seed, the request's seed and what is asked.
"""

from __future__ import annotations

import random

import orjson

from understudy.errors import ModelError
from understudy.lab.agent import reply as act
from understudy.lab.conversation import read_conversation
from understudy.lab.mistakes import Mistakes
from understudy.lab.toolactor import act_tool, draft_facts
from understudy.lab.toolmaker import make_tools
from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.messages import Message
from understudy.schema import dumps
from understudy.seed import derive_seed

TOOLMAKER, FACTDRAFTER, TOOLACTOR, AUTOAGENT = ROLES = (
    "You are the ToolMaker.",
    "You are the FactDrafter.",
    "You are the ToolActor.",
    "You are the AutoAgent.",
)
"""First lines of the system messages it knows."""

CHARACTERS_PER_TOKEN = 4
"""For its estimate of tokens, as it has no tokenizer."""


class ScriptedModel:
    """A ``ChatModel`` that needs no weights and no key.

    Args:
        seed: of its inventions and mistakes.
        mistakes: how often it errs; by default never.
        parallel: as AutoAgent, of the questions about two things, the share whose look-ups it makes at once, two
            a turn.
        corrupt: as ToolActor, the share of facts it answers wrongly: always the same facts, always in the same way.
            (A ToolActor agent that knows the facts refuses such results where it can tell. To corrupt a simulator
            past its own checks, build the world from ``mistakes.corrupted`` facts.)
    """

    def __init__(
        self, seed: int = 0, mistakes: Mistakes | None = None, parallel: float = 0.0, corrupt: float = 0.0
    ) -> None:
        self.name = "scripted-lab"
        self._seed, self._mistakes, self._parallel, self._corrupt = seed, mistakes or Mistakes(), parallel, corrupt

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer as the agent whose prompt this is.

        Raises:
            ModelError: the system message names no agent, or the user message is not what that agent is sent.
        """
        system = _content(request.messages[0]) if request.messages else ""
        role = system.partition("\n")[0].strip()
        try:
            message = self._play(role, request)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise ModelError(f"{self.name}: the user message is not what the agent is sent: {error}") from None
        calls = message.get("tool_calls") or []
        written = len(message["content"]) + sum(len(call["function"]["arguments"]) for call in calls)
        return ChatReply(
            message=message,
            finish_reason="tool_calls" if calls else "stop",
            prompt_tokens=sum(len(_content(sent)) for sent in request.messages) // CHARACTERS_PER_TOKEN,
            completion_tokens=max(1, written // CHARACTERS_PER_TOKEN),
        )

    def _play(self, role: str, request: ChatRequest) -> Message:
        if role == AUTOAGENT:
            seen = read_conversation(request)
            # Drawn from the question alone: the request's seed differs by turn, and a rollout keeps to one way.
            at_once = random.Random(derive_seed("at once", self._seed, seen.question)).random() < self._parallel
            return act(seen, self._mistakes, at_once, self._rng(request, seen.question, seen.turn))
        if role not in ROLES:
            raise ModelError(f"{self.name} plays {', '.join(ROLES)} (said by the system message), not {role[:60]!r}")
        payload = orjson.loads(_content(request.messages[-1]))
        if role == TOOLACTOR:
            rng = self._rng(request, payload["tool"]["name"], dumps(payload["arguments"]))
            return _said(act_tool(payload, self._mistakes, self._corrupt, rng))
        rng = self._rng(request, payload["question"])
        if role == TOOLMAKER:
            utilities = [utility["name"] for utility in payload["utilities"]]
            return _said(dumps(make_tools(payload["question"], utilities, rng)))
        return _said(dumps({"facts": draft_facts(payload["question"], payload["passages"], rng)}))

    def _rng(self, request: ChatRequest, *parts: object) -> random.Random:
        return random.Random(derive_seed("scripted", self._seed, request.seed, *parts))


def _content(message: Message) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _said(content: str) -> Message:
    return {"role": "assistant", "content": content}
