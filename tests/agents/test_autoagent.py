import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade import TASK, TOOLSET
from strategies import json_values, text
from understudy.agents.autoagent import AutoAgent, Form
from understudy.agents.prompt import load
from understudy.errors import ModelError
from understudy.grammar import call_id, write_react
from understudy.llm.protocol import ChatReply
from understudy.llm.scripted import ScriptedChat
from understudy.llm.wire import to_reply
from understudy.messages import turn_message
from understudy.rollout import Limits, rollout
from understudy.trace import Call, Fault, Observation, ParseFault, Source, Stop, Turn
from understudy.world import World


class Facts:
    """Tools that know one answer per tool."""

    name = "facts"
    results = {  # noqa: RUF012
        "get_director": {"director": "Curtis Harrington"},
        "get_date_of_birth": {"date_of_birth": "17 September 1926"},
    }

    def source_of(self, contract):
        return Source.LIVE

    async def call(self, contract, call, world):
        return Observation(call_id=call.id, name=call.name, content=self.results[call.name], source=Source.LIVE)


def calling(index, thought, *calls):
    made = (Call(id=call_id(index, position), name=name, arguments=args) for position, (name, args) in enumerate(calls))
    return Turn(thought=thought, calls=tuple(made))


TWICE = (("get_director", {"film": "Night Tide"}), ("get_director", {"film": "Tide"}))
TURNS = (
    calling(0, "I need the director.", *TWICE),
    calling(1, "Now the birth date.", ("get_date_of_birth", {"person": "Curtis Harrington"})),
    Turn(thought="That is it.", answer="17 September 1926"),
)


async def play(script, form=Form.NATIVE, seed=1):
    model = ScriptedChat(script)
    trace = await rollout(TASK, TOOLSET, World("t"), AutoAgent(model, form), Facts(), Limits(), seed)
    return trace, model


def outcomes(trace):
    return tuple(step.turn for step in trace.steps)


async def test_native_and_react_give_the_same_turns():
    native, native_model = await play([turn_message(turn) for turn in TURNS])
    react, react_model = await play([write_react(turn) for turn in TURNS], Form.REACT)
    assert outcomes(native) == outcomes(react) == TURNS
    assert native.observations == react.observations
    assert native.stop is react.stop is Stop.ANSWERED
    assert len(native_model.requests[0].tools) == len(TOOLSET)
    assert not react_model.requests[0].tools


async def test_react_tells_tools_and_observations_as_text():
    _, model = await play([write_react(turn) for turn in TURNS], Form.REACT)
    system, question = model.requests[0].messages
    assert all(contract.description in system["content"] for contract in TOOLSET)
    assert "{{" not in system["content"]
    assert question == {"role": "user", "content": TASK.question}
    line = 'Observation: {"director":"Curtis Harrington"}'
    assert model.requests[1].messages[3] == {"role": "user", "content": f"{line}\n{line}"}


async def test_native_conversations_grow_by_turn_and_observations():
    _, model = await play([turn_message(turn) for turn in TURNS])
    first, last = model.requests[0].messages, model.requests[-1].messages
    assert last[: len(first)] == first
    assert [message["role"] for message in last[2:]] == ["assistant", "tool", "tool", "assistant", "tool"]
    assert last[2] == turn_message(TURNS[0])


async def test_provenance_names_model_prompt_and_usage():
    replies = [ChatReply(message=turn_message(turn), prompt_tokens=10, completion_tokens=3, cost=0.5) for turn in TURNS]
    trace, _ = await play(replies)
    assert trace.provenance.policy == "autoagent:scripted"
    assert trace.provenance.prompts == {"autoagent": load("autoagent").sha256}
    assert trace.provenance.usage == {"prompted": 30, "sampled": 9, "requests": 3}
    assert trace.provenance.cost == 1.5


async def test_every_step_has_its_own_seed_and_runs_repeat():
    def script():
        return [turn_message(turn) for turn in TURNS]

    (_, first), (_, again), (_, other) = await play(script()), await play(script()), await play(script(), seed=2)
    assert first.requests == again.requests
    seeds = [request.seed for request in (*first.requests, *other.requests)]
    assert len(set(seeds)) == 6


ANSWER = Turn(thought="a\nb", answer="x")
CALLS = turn_message(TURNS[1])["tool_calls"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": "<think>a\nb</think><answer>x</answer>"}, ANSWER),
        ({"content": "a\nb\n\n<answer>x</answer>\n"}, ANSWER),
        ({"content": "<think>\na\n</think>\n\nb <answer>x</answer>"}, ANSWER),
        ({"content": "b <answer>x</answer>", "reasoning_content": "a"}, ANSWER),
        ({"content": "<answer>x</answer>", "reasoning_content": "a\nb"}, ANSWER),
        ({"content": "Now the birth date.", "tool_calls": CALLS}, TURNS[1]),
        ({"content": "<think>Now the birth date.</think>\n", "tool_calls": CALLS}, TURNS[1]),
        ({"content": None, "reasoning_content": "Now the birth date.", "tool_calls": CALLS}, TURNS[1]),
    ],
)
async def test_a_thought_is_one_wherever_it_stands(message, expected):
    session = AutoAgent(ScriptedChat([message])).open(TASK, TOOLSET, 0)
    session._index = 1
    assert (await session.step(())).outcome == expected


async def test_react_reasoning_is_part_of_the_thought():
    message = {"content": "<think>a</think>\nThought: b\nFinal Answer: x"}
    session = AutoAgent(ScriptedChat([message]), Form.REACT).open(TASK, TOOLSET, 0)
    assert (await session.step(())).outcome == ANSWER


async def test_observations_that_a_model_makes_up_are_dropped():
    made_up = (
        'Action: get_director\nAction Input: {"film": "Night Tide"}\nObservation: {"director": "Me"}\nFinal Answer: Me'
    )
    trace, model = await play([made_up, write_react(TURNS[2])], Form.REACT)
    assert trace.answer == "17 September 1926"
    assert trace.observations[0].content == {"director": "Curtis Harrington"}
    assert "Me" not in str(model.requests[1].messages)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("The answer is x.", Fault.STRAY_TEXT),
        ("", Fault.EMPTY),
        ("<think>hm", Fault.UNCLOSED_TAG),
        ("<answer> </answer>", Fault.EMPTY_ANSWER),
        ("<answer>x</answer><answer>y</answer>", Fault.SEVERAL_ANSWERS),
        ("<think>a</think><think>b</think><answer>x</answer>", Fault.LATE_THOUGHT),
    ],
)
async def test_what_a_turn_does_is_never_guessed(content, kind):
    trace, model = await play([content, turn_message(TURNS[2])])
    assert isinstance(fault := trace.steps[0].turn, ParseFault)
    assert (fault.fault, fault.raw) == (kind, content)
    assert trace.answer == "17 September 1926"
    assert "malformed turn" in model.requests[1].messages[-1]["content"]


async def test_a_turn_cut_off_by_the_token_limit_is_truncated():
    trace, _ = await play([ChatReply(message={"content": "<think>so many"}, finish_reason="length")])
    assert trace.stop is Stop.MAX_TOKENS
    assert isinstance(fault := trace.steps[0].turn, ParseFault)
    assert fault.fault is Fault.TRUNCATED


async def test_unknown_tools_are_answered_and_a_dead_model_is_the_policys_error():
    unknown = turn_message(calling(0, "", ("ask_oracle!", {"q": "?"})))
    trace, _ = await play([unknown, ModelError("down")])
    assert "unknown tool" in trace.observations[0].content["error"]["message"]
    assert (trace.stop, trace.detail) == (Stop.POLICY_ERROR, "down")


@given(st.sampled_from(Form), text, json_values, json_values)
async def test_no_reply_breaks_a_rollout(form, content, calls, arguments):
    call = {"id": "a", "function": {"name": "get_director", "arguments": arguments}}
    messages = [{"content": content}, {"content": content, "tool_calls": calls}, {"tool_calls": [call, call]}]
    replies = [to_reply(orjson.dumps({"choices": [{"message": message}]})) for message in messages]
    trace, _ = await play([*replies, ModelError("end")], form)
    assert trace.stop in (Stop.ANSWERED, Stop.MALFORMED, Stop.POLICY_ERROR)
    assert trace.model_dump_json()
