import pytest
from hypothesis import given

from strategies import traces
from understudy.errors import InputError
from understudy.messages import opening, parse_message, to_messages, to_steps
from understudy.trace import Fault, ParseFault, Trace, Turn


@given(traces())
def test_messages_keep_everything(trace):
    assert to_steps(to_messages(trace, system="be brief")) == trace.steps


@given(traces())
def test_json_keeps_everything(trace):
    assert Trace.model_validate_json(trace.model_dump_json()) == trace


def test_wire_messages_parse():
    call = {"id": "a", "function": {"name": "f", "arguments": '{"x": 1}'}}
    turn = parse_message({"role": "assistant", "content": "plain thought", "tool_calls": [call]})
    assert isinstance(turn, Turn)
    assert (turn.thought, turn.calls[0].arguments) == ("plain thought", {"x": 1})
    call["function"]["arguments"] = '{"x":'
    broken = parse_message({"role": "assistant", "content": None, "tool_calls": [call]})
    assert isinstance(broken, ParseFault)
    assert broken.fault is Fault.CALL_NOT_JSON


ASSISTANT = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}],
}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "tool", "tool_call_id": "a", "content": "{}"}],
        [ASSISTANT, {"role": "tool", "tool_call_id": "b", "content": "{}"}],
        [ASSISTANT, {"role": "tool", "tool_call_id": "a", "content": "not json"}],
        [ASSISTANT, {"role": "assistant", "content": "<answer>x</answer>"}],
        [ASSISTANT, {"role": "user", "content": "{}"}],
    ],
)
def test_broken_conversations_are_refused(messages):
    with pytest.raises(InputError, match="message"):
        to_steps([*opening("q"), *messages])
