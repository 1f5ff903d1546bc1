"""Traces as OpenAI chat messages, and back without loss.

The assistant's content holds ``<think>…</think>`` and, in the last turn, ``<answer>…</answer>``; calls are structured
``tool_calls`` with object arguments; results are ``tool`` messages whose content is JSON text. A malformed turn is kept
verbatim and answered by a ``user`` message, since no call exists that a ``tool`` message could refer to. Two keys are
ours, ``source`` of a tool message and ``fault`` of a malformed turn; ``llm`` strips them before anything goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from understudy.errors import InputError
from understudy.grammar import build_turn, call_id, fault, make_call, parse_turn
from understudy.schema import dumps
from understudy.trace import Call, Fault, Observation, ParseFault, Source, Status, Step, Trace, Turn, error_status

Message = dict[str, Any]


def opening(question: str, system: str = "") -> list[Message]:
    """The messages a rollout starts from."""
    start: list[Message] = [{"role": "system", "content": system}] if system else []
    return [*start, {"role": "user", "content": question}]


def turn_message(turn: Turn | ParseFault) -> Message:
    """The assistant message of one turn."""
    if isinstance(turn, ParseFault):
        return {"role": "assistant", "content": turn.raw, "fault": turn.model_dump(mode="json", exclude={"raw"})}
    content = f"<think>{turn.thought}</think>" if turn.thought else ""
    if turn.answer is not None:
        return {"role": "assistant", "content": f"{content}<answer>{turn.answer}</answer>"}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in turn.calls
    ]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def observation_message(observation: Observation) -> Message:
    """The tool message of one observation, or the user message that answers a malformed turn."""
    content = dumps(observation.content)
    if not observation.call_id:
        return {"role": "user", "content": content}
    return {
        "role": "tool",
        "tool_call_id": observation.call_id,
        "name": observation.name,
        "content": content,
        "source": observation.source.value,
    }


def to_messages(trace: Trace, system: str = "") -> list[Message]:
    """The whole trace as a conversation."""
    messages = opening(trace.question, system)
    for step in trace.steps:
        messages.append(turn_message(step.turn))
        messages += [observation_message(observation) for observation in step.observations]
    return messages


def parse_message(message: Message, turn_index: int = 0) -> Turn | ParseFault:
    """Read an assistant message: structured calls if it has any, else the tag form in its content.

    Content without tags beside structured calls counts as the thought, as endpoints return it.
    """
    content, tool_calls = message.get("content") or "", message.get("tool_calls") or []
    if marked := message.get("fault"):
        return ParseFault(**marked, raw=content)
    if not tool_calls:
        return parse_turn(content, turn_index)
    thought = content
    if content.startswith("<think>") and content.rstrip().endswith("</think>"):
        thought = content.rstrip()[len("<think>") : -len("</think>")]
    calls: list[Call] = []
    identifiers = [str(entry.get("id") or call_id(turn_index, index)) for index, entry in enumerate(tool_calls)]
    if len(set(identifiers)) < len(identifiers):  # some servers give every call of a turn the same id
        identifiers = [call_id(turn_index, index) for index in range(len(tool_calls))]
    for identifier, entry in zip(identifiers, tool_calls, strict=True):
        function = entry.get("function") or {}
        name = function.get("name")
        if not isinstance(name, str) or not name:
            return fault(Fault.CALL_WITHOUT_NAME, "the tool call has no name", content)
        call = make_call(identifier, name, function.get("arguments", {}), f"{content}{function}")
        if isinstance(call, ParseFault):
            return call
        calls.append(call)
    return build_turn(thought, calls, None, content)


def to_steps(messages: Iterable[Message]) -> tuple[Step, ...]:
    """The steps of a conversation (its system and first user message are skipped).

    Raises:
        InputError: a tool message answers no open call, an observation is not JSON, or messages are out of order.
    """
    steps: list[Step] = []
    turn: Turn | ParseFault | None = None
    pending: list[Observation] = []
    asked = False
    for index, message in enumerate(messages):
        role = message.get("role")
        if role == "assistant":
            if turn is not None:
                steps.append(Step(turn=turn, observations=_matched(turn, pending, index)))
            turn, pending = parse_message(message, len(steps)), []
        elif role == "tool" and isinstance(turn, Turn):
            pending.append(_observation(message, str(message.get("tool_call_id") or ""), index))
        elif role == "user" and isinstance(turn, ParseFault):
            pending.append(_observation(message, "", index))
        elif role == "user" and not asked:
            asked = True
        elif role != "system" or turn is not None:
            raise InputError(f"message {index}: a {role!r} message is out of place")
    if turn is not None:
        steps.append(Step(turn=turn, observations=_matched(turn, pending, -1)))
    return tuple(steps)


def _matched(turn: Turn | ParseFault, pending: Sequence[Observation], index: int) -> tuple[Observation, ...]:
    expected = [call.id for call in turn.calls] if isinstance(turn, Turn) else [""]
    got = [observation.call_id for observation in pending]
    if got != expected[: len(got)] or (len(got) < len(expected) and index >= 0):
        raise InputError(f"message {index}: observations {got} do not answer the calls {expected}")
    return tuple(pending)


def _observation(message: Message, identifier: str, index: int) -> Observation:
    try:
        content = orjson.loads(message.get("content") or "")
    except orjson.JSONDecodeError:
        raise InputError(f"message {index}: an observation's content must be JSON text") from None
    source = message.get("source") or (Source.LIVE if identifier else Source.LOOP)
    return Observation(
        call_id=identifier,
        name=str(message.get("name") or ""),
        content=content,
        status=error_status(content) or Status.OK,
        source=Source(source),
    )
