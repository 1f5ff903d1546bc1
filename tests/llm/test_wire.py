import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import json_values
from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.llm.wire import MAX_DESCRIPTION, StructuredOutput, to_body, to_reply
from understudy.messages import observation_message, parse_message, turn_message
from understudy.trace import Call, Fault, Observation, ParseFault, Source, Turn


def body_of(structured_output=StructuredOutput.JSON_SCHEMA, **request):
    return to_body(ChatRequest(**{"role": "toolactor", "messages": (), **request}), "m", structured_output)


def test_what_is_ours_stays_here():
    turn = Turn(thought="t", calls=(Call(id="a", name="odd name!", arguments={"x": [1]}),))
    fault = ParseFault(fault=Fault.EMPTY, detail="the turn is empty", raw="?")
    seen = Observation(call_id="a", name="odd name!", content={"y": 1}, source=Source.SIMULATED)
    sent = body_of(messages=(turn_message(turn), observation_message(seen), turn_message(fault)))["messages"]
    assert sent[0]["tool_calls"][0]["function"] == {"name": "odd_name_", "arguments": '{"x":[1]}'}
    assert sent[1] == {"role": "tool", "tool_call_id": "a", "name": "odd_name_", "content": '{"y":1}'}
    assert sent[2] == {"role": "assistant", "content": "?"}


def test_the_request_itself_is_not_changed():
    message = turn_message(Turn(calls=(Call(id="a", name="f", arguments={"x": 1}),)))
    body_of(messages=(message,))
    assert message["tool_calls"][0]["function"]["arguments"] == {"x": 1}


def test_return_schemas_are_told_in_words():
    function = {"name": "f", "description": "Look up.", "parameters": {"type": "object"}, "return": {"type": "string"}}
    tool = {"type": "function", "function": function}
    sent = body_of(tools=(tool,))["tools"][0]["function"]
    assert sent["description"] == 'Look up. Returns JSON: {"type":"string"}'
    assert "return" not in sent
    assert "return" in function
    long = {"type": "function", "function": {**function, "description": "x" * MAX_DESCRIPTION}}
    assert body_of(tools=(long,))["tools"][0]["function"]["description"] == "x" * MAX_DESCRIPTION


@pytest.mark.parametrize(
    ("mode", "expected"), [("json_schema", "json_schema"), ("json_object", "json_object"), ("none", None)]
)
def test_structured_output(mode, expected):
    sent = body_of(StructuredOutput(mode), response_schema={"type": "object"})
    assert (sent.get("response_format") or {}).get("type") == expected
    assert "response_format" not in body_of(StructuredOutput(mode))


@given(json_values, st.sampled_from(["message", "content", "tool_calls", "call", "function", "usage", "finish_reason"]))
def test_whatever_a_server_says_is_a_reply_or_an_error(junk, place):
    """Any JSON at any place of an otherwise good reply: it is read or refused, and what is read can be parsed."""
    call = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "x", "tool_calls": [call]}
    choice = {"message": message, "finish_reason": "stop"}
    body = {"choices": [choice], "usage": {}}
    target = {"message": choice, "function": call, "usage": body, "finish_reason": choice}.get(place, message)
    target["tool_calls" if place == "call" else place] = [junk] if place == "call" else junk
    try:
        reply = to_reply(json.dumps(body).encode())
    except ValueError:
        return
    assert isinstance(reply, ChatReply)
    assert isinstance(parse_message(reply.message), Turn | ParseFault)


@given(st.binary(max_size=64))
def test_bytes_are_refused_in_one_line(data):
    with pytest.raises(ValueError, match="the reply"):
        to_reply(data)


def test_reasoning_and_parts():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    reply = to_reply(json.dumps({"choices": [{"message": {"content": parts, "reasoning": "why"}}]}).encode())
    assert (reply.content, reply.message["reasoning_content"]) == ("ab", "why")


def test_calls_of_a_turn_that_share_an_id_are_told_apart():
    call = {"id": "same", "function": {"name": "f", "arguments": "{}"}}
    reply = to_reply(json.dumps({"choices": [{"message": {"tool_calls": [call, call]}}]}).encode())
    turn = parse_message(reply.message, turn_index=3)
    assert isinstance(turn, Turn)
    assert [call.id for call in turn.calls] == ["call_3_0", "call_3_1"]
