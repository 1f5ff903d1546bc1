"""Hypothesis strategies for the nouns, used by property tests everywhere."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from understudy.contract import ToolContract
from understudy.trace import (
    RESERVED,
    Call,
    Fault,
    Observation,
    ParseFault,
    Provenance,
    Source,
    Status,
    Step,
    Stop,
    Trace,
    Turn,
    error_status,
)

_characters = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
_control = st.sampled_from(["<|end|>", "a<|im_end|>", "<|eot_id|><|eot_id|>"])
prose = _characters.filter(lambda value: not any(tag in value for tag in RESERVED)) | _control
"""What a thought or an answer may say."""
text = _characters | _control | st.lists(st.sampled_from([*RESERVED, "a"]), max_size=3).map("".join)
"""Any text; some would speak as another role, or as another part of a turn."""
answers = prose.filter(lambda value: bool(value.strip()))
names = st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
objects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(text, json_values, max_size=3)


@st.composite
def turns(draw: st.DrawFn, *, final: bool) -> Turn:
    """A turn that answers, or one that calls one to three tools."""
    thought = draw(prose)
    if final:
        return Turn(thought=thought, answer=draw(answers))
    calls = tuple(
        Call(id=f"call_{position}", name=draw(names), arguments=draw(objects))
        for position in range(draw(st.integers(1, 3)))
    )
    return Turn(thought=thought, calls=calls)


@st.composite
def observations(draw: st.DrawFn, call: Call) -> Observation:
    """An observation of any status that answers the call."""
    status, source = draw(st.sampled_from(Status)), draw(st.sampled_from(Source))
    if status is Status.OK:
        content = draw(json_values.filter(lambda value: error_status(value) is None))
        return Observation(call_id=call.id, name=call.name, content=content, source=source)
    return Observation.error(call.id, call.name, status, draw(text), source)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """A calling turn or a fault, with what answered it."""
    if draw(st.booleans()):
        turn = draw(turns(final=False))
        return Step(turn=turn, observations=tuple(draw(observations(call)) for call in turn.calls))
    malformed = ParseFault(fault=draw(st.sampled_from(Fault)), detail=draw(text), raw=draw(text))
    error = Observation.error("", "", Status.INVALID_CALL, draw(text), Source.LOOP)
    return Step(turn=malformed, observations=(error,))


_described = st.fixed_dictionaries({}, optional={"description": text, "title": text, "default": json_values})
_leaves = st.one_of(
    st.sampled_from([{}, {"type": "string"}, {"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}]),
    st.builds(lambda low: {"type": "integer", "minimum": low}, st.integers(-(2**53), 2**53)),
    st.builds(lambda high: {"type": "number", "maximum": high}, st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(lambda values: {"enum": values}, st.lists(scalars, min_size=1, max_size=3)),
)


def _objects_of(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(text, inner, max_size=3).flatmap(
        lambda properties: st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.just(properties),
                "required": st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([]),
            },
            optional={"additionalProperties": st.booleans()},
        )
    )


schemas: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.builds(lambda leaf, said: leaf | said, _leaves, _described),
    lambda inner: _objects_of(inner) | st.builds(lambda items: {"type": "array", "items": items}, inner),
    max_leaves=4,
)
"""JSON Schemas of any shape."""
contracts = st.builds(
    ToolContract, name=names, description=text, parameters=_objects_of(schemas), returns=st.just({}) | schemas
)

CONTRACT = ToolContract(
    name="find_director",
    description="Find who directed a film.",
    parameters={"type": "object", "properties": {"film": {"type": "string"}}, "required": ["film"]},
    returns={"type": "object", "properties": {"director": {"type": "string"}}, "required": ["director"]},
)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """A trace that keeps the grammar and ends in an answer."""
    body = draw(st.lists(steps(), max_size=4))
    return Trace(
        task_id=draw(text),
        question=draw(text),
        toolset=(CONTRACT,),
        world_id="w",
        steps=(*body, Step(turn=draw(turns(final=True)))),
        stop=Stop.ANSWERED,
        provenance=Provenance(policy="p", tools="t"),
    )
