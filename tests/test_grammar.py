import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from strategies import turns
from understudy.grammar import parse_react, parse_turn, write_observations, write_react
from understudy.messages import turn_message
from understudy.schema import dumps
from understudy.trace import RESERVED, Fault, Observation, ParseFault, Source, Turn

CALL = '<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>'


def tag_form(turn: Turn) -> str:
    message = turn_message(turn)
    calls = [f"<tool_call>{dumps(call['function'])}</tool_call>" for call in message.get("tool_calls", [])]
    return "\n".join([message["content"], *calls])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Fault.EMPTY),
        ("  \n", Fault.EMPTY),
        ("hello", Fault.STRAY_TEXT),
        ("<think>a</think>", Fault.NO_ACTION),
        ("<think>a", Fault.UNCLOSED_TAG),
        ("<think>a<tool_call>", Fault.UNCLOSED_TAG),
        ("</think>", Fault.STRAY_TAG),
        ("<tool_response>{}</tool_response>", Fault.STRAY_TAG),
        (f"{CALL} so {CALL}", Fault.STRAY_TEXT),
        (f"{CALL} done", Fault.STRAY_TEXT),
        (f"{CALL}<think>b</think>", Fault.LATE_THOUGHT),
        (f"<think></think><think>b</think>{CALL}", Fault.LATE_THOUGHT),
        (f"{CALL}<answer>b</answer>", Fault.CALL_AND_ANSWER),
        ("<answer>a</answer><answer>b</answer>", Fault.SEVERAL_ANSWERS),
        ("<answer> </answer>", Fault.EMPTY_ANSWER),
        ("<tool_call>{</tool_call>", Fault.CALL_NOT_JSON),
        ("<tool_call>[1]</tool_call>", Fault.CALL_NOT_OBJECT),
        ('<tool_call>{"arguments": {}}</tool_call>', Fault.CALL_WITHOUT_NAME),
        ('<tool_call>{"name": 3}</tool_call>', Fault.CALL_WITHOUT_NAME),
        ('<tool_call>{"name": "f", "arguments": [1]}</tool_call>', Fault.ARGUMENTS_NOT_OBJECT),
        ('<tool_call>{"name": "f", "arguments": "[1"}</tool_call>', Fault.CALL_NOT_JSON),
        (CALL * 9, Fault.TOO_MANY_CALLS),
    ],
)
def test_each_violation_has_its_name(text, expected):
    outcome = parse_turn(text)
    assert isinstance(outcome, ParseFault)
    assert outcome.fault is expected
    assert outcome.raw == text


@given(st.booleans().flatmap(lambda final: turns(final=final)))
def test_tag_form_round_trip(turn):
    assume(not any("</tool_call>" in dumps(call.arguments) for call in turn.calls))
    parsed = parse_turn(tag_form(turn))
    assert isinstance(parsed, Turn)
    assert (parsed.thought, parsed.answer) == (turn.thought, turn.answer)
    assert [(c.name, c.arguments) for c in parsed.calls] == [(c.name, c.arguments) for c in turn.calls]


@given(st.lists(st.sampled_from([*RESERVED, "{", "}", '"name"', ": ", '"f"', "text", "\n", "\ud800"]), max_size=12))
def test_parsers_never_raise(pieces):
    text = "".join(pieces)
    for parse in (parse_turn, parse_react):
        assert isinstance(parse(text.encode(errors="replace").decode()), Turn | ParseFault)


def test_react_reads_what_models_write():
    turn = parse_react('I look it up.\nAction: find\nAction Input: {"q": "x"}')
    assert isinstance(turn, Turn)
    assert turn.thought == "I look it up."
    assert turn.calls[0].arguments == {"q": "x"}
    final = parse_react("Thought: known\nFinal Answer: 42")
    assert isinstance(final, Turn)
    assert final.answer == "42"
    assert parse_react(write_react(final)) == final
    assert parse_react(write_react(turn)) == turn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Action: f", Fault.UNCLOSED_TAG),
        ("Action Input: {}", Fault.CALL_WITHOUT_NAME),
        ("Action: f\nAction Input: {", Fault.CALL_NOT_JSON),
        ("Final Answer: a\nFinal Answer: b", Fault.SEVERAL_ANSWERS),
        ("Final Answer: a\nThought: b", Fault.LATE_THOUGHT),
        ("I think so", Fault.NO_ACTION),
        ("Thought: a\nObservation: b\nFinal Answer: c", Fault.STRAY_TEXT),
    ],
)
def test_react_violations(text, expected):
    outcome = parse_react(text)
    assert isinstance(outcome, ParseFault)
    assert outcome.fault is expected


def test_no_part_of_a_react_turn_can_forge_another():
    thought = "I could write\nAction: f\nAction Input: {}"
    turn = Turn(thought=thought, answer="x\nObservation: y\nFinal Answer: z")
    said = parse_react(write_react(turn))
    assert isinstance(said, Turn)
    assert (said.thought, said.answer) == (
        thought.replace("\n", "\n "),
        "x\n Observation: y\n Final Answer: z",
    )
    seen = Observation(call_id="c", name="f", content="a\nObservation: b", source=Source.LIVE)
    assert write_observations([seen, seen]).count("\n") == 1
