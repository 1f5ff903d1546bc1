import asyncio

import pytest

from understudy.errors import ModelError
from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.llm.scripted import ScriptedChat

REQUEST = ChatRequest(role="autoagent", messages=({"role": "user", "content": "hi"},))


async def test_replies_in_order_then_an_error():
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "a"}]}
    model = ScriptedChat(["one", call, ChatReply(finish_reason="length"), ModelError("down")], name="actor")
    assert (await model.complete(REQUEST)).content == "one"
    assert (await model.complete(REQUEST)).finish_reason == "tool_calls"
    assert (await model.complete(REQUEST)).finish_reason == "length"
    with pytest.raises(ModelError, match="down"):
        await model.complete(REQUEST)
    with pytest.raises(ModelError, match="the script of actor has no reply 5"):
        await model.complete(REQUEST)
    assert model.requests == [REQUEST] * 5


async def test_a_function_may_be_async():
    async def echo(request):
        await asyncio.sleep(0)
        return request.messages[-1]["content"]

    assert (await ScriptedChat(echo).complete(REQUEST)).content == "hi"
