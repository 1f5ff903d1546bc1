"""Turns as text: the tag form that chat templates write, and plain-text ReAct for models without tool calling.

Tag form: ``<think>…</think>``, then any number of ``<tool_call>{"name": …, "arguments": {…}}</tool_call>`` or one
``<answer>…</answer>``. ReAct: ``Thought: …``, then ``Action: name`` and ``Action Input: {…}``, or ``Final Answer: …``;
what tools return is ``Observation: …``, a line per call.

Both parsers return a ``Turn`` or the first violation as a ``ParseFault``; they never raise, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson

from understudy.contract import ToolContract
from understudy.schema import MAX_DEPTH, MAX_VALUE_BYTES, depth, dumps
from understudy.trace import RESERVED, Call, Fault, Observation, ParseFault, Turn

MAX_CALLS = 8
_TAG = re.compile("|".join(re.escape(tag) for tag in RESERVED))
_LABELS = "Thought|Action|Action Input|Final Answer|Observation"
_REACT = re.compile(rf"^({_LABELS}):[ \t]*", re.MULTILINE)
_INNER_LABEL = re.compile(rf"\n(?=(?:{_LABELS}):)")


def call_id(turn_index: int, position: int) -> str:
    """The id of a call that arrived without one: its turn and its place in the turn."""
    return f"call_{turn_index}_{position}"


def fault(kind: Fault, detail: str, raw: str) -> ParseFault:
    """A fault whose raw text is cut to what a trace keeps."""
    return ParseFault(fault=kind, detail=detail[:300], raw=raw[:16_384])


def parse_turn(text: str, turn_index: int = 0) -> Turn | ParseFault:
    """Parse the tag form. White space between elements is free; inside a thought or an answer it is kept."""
    thought: str | None = None
    answer: str | None = None
    calls: list[Call] = []
    cursor = 0
    while match := _TAG.search(text, cursor):
        tag, between = match.group(), text[cursor : match.start()]
        if between.strip():
            return fault(Fault.STRAY_TEXT, f"text outside of tags: {between.strip()[:60]!r}", text)
        if tag not in ("<think>", "<tool_call>", "<answer>"):
            return fault(Fault.STRAY_TAG, f"unexpected {tag}", text)
        closing = f"</{tag[1:]}"
        end = text.find(closing, match.end())
        body = text[match.end() : end]
        # JSON strings may hold any tag but the closing one; prose may hold none.
        if end < 0 or (tag != "<tool_call>" and _TAG.search(body)):
            return fault(Fault.UNCLOSED_TAG, f"{tag} is not closed by {closing}", text)
        if tag == "<think>":
            if thought is not None or calls or answer is not None:
                return fault(Fault.LATE_THOUGHT, "a turn has one thought, before its calls or answer", text)
            thought = body
        elif tag == "<answer>":
            if answer is not None:
                return fault(Fault.SEVERAL_ANSWERS, "a turn has one answer", text)
            answer = body
        else:
            call = parse_call(body, call_id(turn_index, len(calls)), text)
            if isinstance(call, ParseFault):
                return call
            calls.append(call)
        cursor = end + len(closing)
    if text[cursor:].strip():
        return fault(Fault.STRAY_TEXT, f"text outside of tags: {text[cursor:].strip()[:60]!r}", text)
    return build_turn(thought or "", calls, answer, text)


def build_turn(thought: str, calls: list[Call], answer: str | None, raw: str) -> Turn | ParseFault:
    """Assemble a turn from its parts, or name the rule that the parts break together."""
    if calls and answer is not None:
        return fault(Fault.CALL_AND_ANSWER, "a turn either calls tools or answers", raw)
    if not calls and answer is None:
        if not raw.strip():
            return fault(Fault.EMPTY, "the turn is empty", raw)
        return fault(Fault.NO_ACTION, "the turn has neither a tool call nor an answer", raw)
    if answer is not None and not answer.strip():
        return fault(Fault.EMPTY_ANSWER, "the answer is empty", raw)
    if len(calls) > MAX_CALLS:
        return fault(Fault.TOO_MANY_CALLS, f"{len(calls)} calls in one turn; at most {MAX_CALLS}", raw)
    for tag in RESERVED:
        if tag in thought or tag in (answer or ""):
            return fault(Fault.STRAY_TAG, f"unexpected {tag}", raw)
    return Turn(thought=thought, calls=tuple(calls), answer=answer)


def parse_call(body: str, identifier: str, raw: str) -> Call | ParseFault:
    """Parse the JSON of one call."""
    value = _loads(body)
    if value is _BAD:
        return fault(Fault.CALL_NOT_JSON, "the tool call is not valid JSON", raw)
    if not isinstance(value, dict):
        return fault(Fault.CALL_NOT_OBJECT, "the tool call is not a JSON object", raw)
    name, arguments = value.get("name"), value.get("arguments", {})
    if not isinstance(name, str) or not name:
        return fault(Fault.CALL_WITHOUT_NAME, "the tool call has no name", raw)
    return make_call(identifier, name, arguments, raw)


def make_call(identifier: str, name: str, arguments: object, raw: str) -> Call | ParseFault:
    """A call from a name and arguments, which may still be JSON text as they are on the OpenAI wire."""
    if isinstance(arguments, str):
        arguments = _loads(arguments or "{}")
        if arguments is _BAD:
            return fault(Fault.CALL_NOT_JSON, f"the arguments of {name[:60]} are not valid JSON", raw)
    if not isinstance(arguments, dict):
        return fault(Fault.ARGUMENTS_NOT_OBJECT, f"the arguments of {name[:60]} are not a JSON object", raw)
    return Call(id=identifier, name=name[:200], arguments=arguments)


def parse_react(text: str, turn_index: int = 0) -> Turn | ParseFault:
    """Parse plain-text ReAct. Text before the first label counts as the thought, as models often omit ``Thought:``."""
    labels = list(_REACT.finditer(text))
    lead = text[: labels[0].start()] if labels else text
    thought = lead.strip()
    calls: list[Call] = []
    answer: str | None = None
    action: str | None = None
    ends = [*(label.start() for label in labels[1:]), len(text)]
    for label, end in zip(labels, ends, strict=False):
        body = text[label.end() : end].strip()
        match label.group(1):
            case "Thought":
                if calls or answer is not None:
                    return fault(Fault.LATE_THOUGHT, "a turn has one thought, before its calls or answer", text)
                thought = f"{thought}\n{body}" if thought else body
            case "Action":
                action = body
            case "Action Input":
                if not action:
                    return fault(Fault.CALL_WITHOUT_NAME, "Action Input without Action", text)
                call = make_call(call_id(turn_index, len(calls)), action, body, text)
                if isinstance(call, ParseFault):
                    return call
                calls.append(call)
                action = None
            case "Observation":
                return fault(Fault.STRAY_TEXT, "only tools write observations", text)
            case _:
                if answer is not None:
                    return fault(Fault.SEVERAL_ANSWERS, "a turn has one answer", text)
                answer = body
    if action:
        return fault(Fault.UNCLOSED_TAG, "Action without Action Input", text)
    return build_turn(thought, calls, answer, text)


def write_react(turn: Turn) -> str:
    """The ReAct text of a turn; ``parse_react`` reads it back without white space around its parts.

    A label at a line start within a part is indented by a space, so that it is read as the text it is.
    """
    lines = [f"Thought: {_indented(turn.thought)}"] if turn.thought else []
    for call in turn.calls:
        lines += [f"Action: {_indented(call.name)}", f"Action Input: {dumps(call.arguments)}"]
    if turn.answer is not None:
        lines.append(f"Final Answer: {_indented(turn.answer)}")
    return "\n".join(lines)


def write_observations(observations: Sequence[Observation]) -> str:
    """What answers a ReAct turn. JSON text has no line breaks, so no result can forge a label."""
    return "\n".join(f"Observation: {dumps(observation.content)}" for observation in observations)


def write_tools(toolset: Sequence[ToolContract]) -> str:
    """The tools as a ReAct prompt lists them, a line of JSON each."""
    return "\n".join(dumps(contract.model_dump()) for contract in toolset) or "(none)"


def _indented(text: str) -> str:
    return _INNER_LABEL.sub("\n ", text)


class _Bad:
    pass


_BAD = _Bad()


def _loads(text: str) -> object:
    if len(text.encode(errors="replace")) > MAX_VALUE_BYTES:
        return _BAD
    try:
        value: object = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return _BAD
    return value if depth(value) <= MAX_DEPTH else _BAD
