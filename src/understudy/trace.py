"""A trace: what a policy thought, called, saw and answered on one task, and how it ended.

Grammar of a complete trace: ``(think? calls observations)* think? answer``. A step whose text breaks it holds a
``ParseFault`` instead of a ``Turn``; the loop answers a fault with an error observation, so a trace is always data.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from understudy.contract import ToolContract
from understudy.noun import Noun

RESERVED = tuple(f"<{slash}{tag}>" for tag in ("think", "tool_call", "tool_response", "answer") for slash in ("", "/"))


class Status(StrEnum):
    """Outcome of one call. Only ``invalid_call`` is the policy's fault; ``simulator_failure`` never is."""

    OK = "ok"
    INVALID_CALL = "invalid_call"
    TOOL_ERROR = "tool_error"
    SIMULATOR_FAILURE = "simulator_failure"


class Source(StrEnum):
    """Where an observation comes from. ``loop`` marks errors that the loop itself gives for bad calls."""

    SIMULATED = "simulated"
    RECORDED = "recorded"
    LIVE = "live"
    UTILITY = "utility"
    LOOP = "loop"


class Stop(StrEnum):
    """Why a rollout ended."""

    ANSWERED = "answered"
    MAX_TURNS = "max_turns"
    MAX_TOKENS = "max_tokens"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    POLICY_ERROR = "policy_error"
    SIMULATOR_FAILURE = "simulator_failure"


class Fault(StrEnum):
    """The ways in which a turn can break the grammar."""

    EMPTY = "empty"
    UNCLOSED_TAG = "unclosed_tag"
    STRAY_TAG = "stray_tag"
    STRAY_TEXT = "stray_text"
    LATE_THOUGHT = "late_thought"
    NO_ACTION = "no_action"
    CALL_AND_ANSWER = "call_and_answer"
    SEVERAL_ANSWERS = "several_answers"
    EMPTY_ANSWER = "empty_answer"
    CALL_NOT_JSON = "call_not_json"
    CALL_NOT_OBJECT = "call_not_object"
    CALL_WITHOUT_NAME = "call_without_name"
    ARGUMENTS_NOT_OBJECT = "arguments_not_object"
    TOO_MANY_CALLS = "too_many_calls"
    TRUNCATED = "truncated"


class Call(Noun):
    """One tool call. ``arguments`` is an object; it becomes a string only on the OpenAI wire."""

    id: str
    name: str
    arguments: dict[str, Any]


class Turn(Noun):
    """What a policy says at once: a thought (may be empty), then calls or an answer, never both, never neither."""

    thought: str = ""
    calls: tuple[Call, ...] = ()
    answer: str | None = None

    @model_validator(mode="after")
    def _calls_or_answer(self) -> Self:
        if bool(self.calls) == (self.answer is not None):
            raise ValueError("a turn has either calls or an answer")
        if self.answer is not None and not self.answer.strip():
            raise ValueError("an answer must not be empty")
        for tag in RESERVED:
            if tag in self.thought or tag in (self.answer or ""):
                raise ValueError(f"a thought or an answer must not contain {tag}")
        if len({call.id for call in self.calls}) != len(self.calls):
            raise ValueError("call ids must differ within a turn")
        return self


class ParseFault(Noun):
    """A malformed turn: which rule it breaks, a line for the policy, and the raw text (bounded)."""

    fault: Fault
    detail: str
    raw: str = Field(default="", max_length=16_384)


class Observation(Noun):
    """The answer to one call (``call_id``), or to a fault (``call_id`` is empty).

    ``content`` is a JSON value. Whatever is not ``ok`` has the shape ``{"error": {"status": …, "message": …}}``, so
    that the status can be read from what the policy saw.
    """

    call_id: str
    name: str
    content: Any
    status: Status = Status.OK
    source: Source

    @model_validator(mode="after")
    def _status_matches_content(self) -> Self:
        if error_status(self.content) != (None if self.status is Status.OK else self.status):
            raise ValueError("an observation's status must match its content")
        return self

    @classmethod
    def error(cls, call_id: str, name: str, status: Status, message: str, source: Source) -> Observation:
        """A structured error that the policy can read and recover from."""
        content = {"error": {"status": status.value, "message": message[:500]}}
        return cls(call_id=call_id, name=name, content=content, status=status, source=source)


def error_status(content: object) -> Status | None:
    """The status that an error content names; None when it is a normal result."""
    if isinstance(content, dict) and len(content) == 1 and isinstance(error := content.get("error"), dict):
        status = error.get("status")
        if set(error) == {"status", "message"} and isinstance(status, str) and status in set(Status) - {Status.OK}:
            return Status(status)
    return None


class Step(Noun):
    """One turn (or fault) and the observations that answered it, in the order of its calls."""

    turn: Turn | ParseFault
    observations: tuple[Observation, ...] = ()


class Tokens(Noun):
    """The exact tokens of a trace, as sampled. All four are aligned after the prompt.

    ``completion`` holds sampled and observed tokens; ``mask`` is 1 where sampled; ``logprobs`` are the sampler's
    (natural log, temperature applied), 0 where observed.
    """

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    mask: tuple[int, ...]
    logprobs: tuple[float, ...]


class Provenance(Noun):
    """Who made a trace, and what it took."""

    policy: str
    tools: str
    facts: str = "none"
    seed: int = 0
    prompts: dict[str, str] = Field(default_factory=dict)
    usage: dict[str, int] = Field(default_factory=dict)
    cost: float = 0.0
    seconds: float = 0.0


class Trace(Noun):
    """One rollout, complete in itself: a reader needs no other file to check it."""

    task_id: str
    question: str
    toolset: tuple[ToolContract, ...]
    world_id: str
    steps: tuple[Step, ...]
    stop: Stop
    detail: str = ""
    provenance: Provenance
    tokens: Tokens | None = None

    @property
    def answer(self) -> str | None:
        """The final answer, if the policy gave one."""
        last = self.steps[-1].turn if self.steps else None
        return last.answer if isinstance(last, Turn) else None

    @property
    def observations(self) -> list[Observation]:
        """All observations in order."""
        return [observation for step in self.steps for observation in step.observations]

    def calls(self) -> list[tuple[Call, Observation]]:
        """Every call with its observation, in order. A call cut off by a limit has none and is left out."""
        return [(call, observation) for _, call, observation in self.placed_calls()]

    def placed_calls(self) -> list[tuple[int, Call, Observation]]:
        """``calls`` with the index of the step that made each."""
        return [
            (index, call, observation)
            for index, step in enumerate(self.steps)
            if isinstance(step.turn, Turn)
            for call, observation in zip(step.turn.calls, step.observations, strict=False)
        ]
