"""The AutoAgent: a policy over any chat model, by native function calling or by plain-text ReAct.

Chat models put the thought where they like: beside the content, in tags, or as prose before a call or an answer.
Wherever it stands, it is the thought of the turn. What a turn *does* is never guessed: without a call or a tagged
answer it is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from understudy.agents.prompt import Prompt, load
from understudy.contract import ToolContract
from understudy.grammar import build_turn, fault, parse_react, write_observations, write_tools
from understudy.llm.protocol import ChatModel, ChatReply, ChatRequest
from understudy.messages import Message, observation_message, opening, parse_message, turn_message
from understudy.protocols import Sample
from understudy.seed import derive_seed
from understudy.task import Task
from understudy.trace import Fault, Observation, ParseFault, Tokens, Turn

_THOUGHT = re.compile(r"\s*<think>(.*?)</think>", re.DOTALL)
_MADE_UP = re.compile(r"^Observation:", re.MULTILINE)


class Form(StrEnum):
    """How tools are offered and called."""

    NATIVE = "native"
    REACT = "react"


class AutoAgent:
    """A policy that thinks, acts and observes. It sees the question and the tools, and nothing else of a task.

    Args:
        model: who decides.
        form: native function calling, or plain-text ReAct for models without it.
        temperature: of every turn.
        max_tokens: of one turn.
    """

    def __init__(
        self, model: ChatModel, form: Form = Form.NATIVE, temperature: float = 0.7, max_tokens: int = 2048
    ) -> None:
        self.model, self.temperature, self.max_tokens = model, temperature, max_tokens
        self.name = f"autoagent:{model.name}"
        self._session = NativeSession if form is Form.NATIVE else ReactSession
        self._prompt = load(self._session.PROMPT)
        self.prompts: Mapping[str, str] = {self._prompt.name: self._prompt.sha256}

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> NativeSession:
        """Start a rollout; every request of it derives its own seed from ``seed``."""
        return self._session(self, self._prompt, task.question, toolset, seed)


class NativeSession:
    """A conversation with native function calling.

    Attributes:
        messages: the conversation so far, as the model was told it.
    """

    PROMPT = "autoagent"

    def __init__(
        self, agent: AutoAgent, prompt: Prompt, question: str, toolset: Sequence[ToolContract], seed: int
    ) -> None:
        self._agent, self._seed, self._index = agent, seed, 0
        system, self._tools = self._offer(prompt.text, toolset)
        self.messages: list[Message] = opening(question, system)

    async def step(self, observations: Sequence[Observation]) -> Sample:
        """Ask for the next turn.

        Raises:
            ModelError: the model gave none.
        """
        self.messages += self._seen(observations)
        agent = self._agent
        reply = await agent.model.complete(
            ChatRequest(
                role="autoagent",
                messages=tuple(self.messages),
                tools=self._tools,
                temperature=agent.temperature,
                max_tokens=agent.max_tokens,
                seed=derive_seed(self._seed, self._index),
            )
        )
        outcome, said = self._read(reply)
        truncated = reply.finish_reason == "length"
        if truncated and isinstance(outcome, ParseFault):
            outcome = fault(Fault.TRUNCATED, f"cut off at {agent.max_tokens} tokens: {outcome.detail}", outcome.raw)
        self.messages.append(said)
        self._index += 1
        return Sample(outcome, reply.completion_tokens, reply.prompt_tokens, reply.cost, truncated)

    def tokens(self) -> Tokens | None:
        """None: an endpoint doesn't tell its tokens."""
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def _offer(self, system: str, toolset: Sequence[ToolContract]) -> tuple[str, tuple[dict[str, Any], ...]]:
        return system, tuple(contract.to_openai() for contract in toolset)

    def _seen(self, observations: Sequence[Observation]) -> list[Message]:
        return [observation_message(observation) for observation in observations]

    def _read(self, reply: ChatReply) -> tuple[Turn | ParseFault, Message]:
        outcome = parse_message(_tagged(reply), self._index)
        if isinstance(outcome, ParseFault):  # of which a trace keeps what the model wrote, as it wrote it
            outcome = parse_message(reply.message, self._index)
        return outcome, turn_message(outcome)


class ReactSession(NativeSession):
    """A conversation in which tools are listed in the system message, and calls and results are text."""

    PROMPT = "autoagent_react"

    def _offer(self, system: str, toolset: Sequence[ToolContract]) -> tuple[str, tuple[dict[str, Any], ...]]:
        return system.replace("{{tools}}", write_tools(toolset)), ()

    def _seen(self, observations: Sequence[Observation]) -> list[Message]:
        return [{"role": "user", "content": write_observations(observations)}] if observations else []

    def _read(self, reply: ChatReply) -> tuple[Turn | ParseFault, Message]:
        reasoning, content = _reasoning(reply)
        if made_up := _MADE_UP.search(content):  # the model went on to play the tool; only the tool may
            content = content[: made_up.start()].rstrip()
        outcome = parse_react(content, self._index)
        if reasoning and isinstance(outcome, Turn):
            outcome = build_turn(_joined(reasoning, outcome.thought), list(outcome.calls), outcome.answer, content)
        return outcome, {"role": "assistant", "content": content}


def _tagged(reply: ChatReply) -> Message:
    """The message with everything before its calls or its answer as one thought in tags."""
    reasoning, content = _reasoning(reply)
    calls = reply.message.get("tool_calls")
    prose, tag, answer = (content, "", "") if calls else content.partition("<answer>")
    thought = _joined(reasoning, prose)
    return {"content": (f"<think>{thought}</think>" if thought else "") + tag + answer, "tool_calls": calls}


def _reasoning(reply: ChatReply) -> tuple[str, str]:
    """What a reasoning model thought, beside its content or in tags before it, and the rest of the content."""
    content, beside = reply.content, reply.message.get("reasoning_content") or ""
    if tagged := _THOUGHT.match(content):
        return _joined(beside, tagged.group(1)), content[tagged.end() :]
    return beside, content


def _joined(*parts: str) -> str:
    return "\n".join(part.strip() for part in parts if part.strip())
