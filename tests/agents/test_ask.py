import contextlib

import orjson
import pytest
from hypothesis import given

from strategies import json_values, text
from understudy.agents.ask import ask
from understudy.agents.prompt import Prompt, load
from understudy.errors import ModelError
from understudy.llm.protocol import ChatReply
from understudy.llm.scripted import ScriptedChat

PROMPT = Prompt("toolactor", "You are the ToolActor.", "")


def wants_seven(value):
    return [] if value == {"x": 7} else [f"x must be 7,\nnot {value!r}"]


async def asked(model, attempts=1, check=wants_seven):
    return await ask(model, PROMPT, {"q": 1}, {"type": "object"}, check, attempts, seed=5)


@pytest.mark.parametrize(
    "reply",
    ['{"x": 7}', '```json\n{"x": 7}\n```', 'Sure! {"x": 7}\nDone.', '<think>{"x": 1}? no</think>\n{"x": 7}'],
)
async def test_the_value_is_found_wherever_it_stands(reply):
    assert await asked(ScriptedChat([reply])) == {"x": 7}


async def test_reasons_go_back_and_every_attempt_has_its_seed():
    model = ScriptedChat(["no json", '{"x": 1}', '{"x": 7}'])
    assert await asked(model, attempts=3) == {"x": 7}
    told = [orjson.loads(request.messages[1]["content"])["problems"] for request in model.requests]
    assert told == [[], ["the reply is not one JSON object"], ["x must be 7, not {'x': 1}"]]
    assert len({request.seed for request in model.requests}) == 3
    assert model.requests[0].messages[0] == {"role": "system", "content": PROMPT.text}
    again = ScriptedChat(["no json", '{"x": 7}'])
    await asked(again, attempts=2)
    assert again.requests[0] == model.requests[0]


async def test_attempts_are_bounded_and_the_error_is_one_line():
    model = ScriptedChat(lambda request: "x" * 100_000)
    with pytest.raises(ModelError, match=r"toolactor: no usable reply in 3 attempts: .*100000 characters") as caught:
        await asked(model, attempts=3)
    assert len(model.requests) == 3
    assert "\n" not in str(caught.value)


async def test_a_reply_that_was_cut_off_is_not_taken():
    model = ScriptedChat([ChatReply(message={"content": '{"x": 7}'}, finish_reason="length")])
    with pytest.raises(ModelError, match="cut off"):
        await asked(model)


async def test_what_is_sent_back_stays_small():
    model = ScriptedChat(["{}", "{}"])
    with pytest.raises(ModelError) as caught:
        await asked(model, attempts=2, check=lambda value: ["y" * 10_000] * 100)
    assert len(model.requests[1].messages[1]["content"]) < 4_000
    assert len(str(caught.value)) < 1_000


@given(text | json_values.map(orjson.dumps).map(bytes.decode))
async def test_no_reply_breaks_it(reply):
    with contextlib.suppress(ModelError):
        assert await asked(ScriptedChat([reply])) == {"x": 7}


@pytest.mark.parametrize("name", ["toolmaker", "factdrafter", "toolactor", "autoagent", "autoagent_react"])
def test_prompts_name_their_agent_in_the_first_line(name):
    prompt = load(name)
    agent = {"toolmaker": "ToolMaker", "factdrafter": "FactDrafter", "toolactor": "ToolActor"}.get(name, "AutoAgent")
    assert prompt.text.splitlines()[0] == f"You are the {agent}."
    assert len(prompt.sha256) == 64
