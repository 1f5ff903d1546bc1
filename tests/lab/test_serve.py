import asyncio
import http.client
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import openai
import orjson
import pytest

from understudy.errors import InputError, ModelError
from understudy.lab.live import LiveTools
from understudy.lab.serve import MAX_BODY_BYTES, serve
from understudy.lab.teacher import ScriptedModel
from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.task import Task

SYSTEM = {"role": "system", "content": "You are the AutoAgent.\nRules."}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(ScriptedModel()) as base_url:
        yield base_url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


def raw(url: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, orjson.loads(response.read())
    finally:
        connection.close()


def test_it_lists_its_model_and_is_on_loopback(url: str, client: openai.OpenAI) -> None:
    assert urlsplit(url).hostname == "127.0.0.1"
    assert [model.id for model in client.models.list()] == ["scripted-lab"]


def test_tools_are_called_and_usage_is_counted(client: openai.OpenAI, live: LiveTools, tasks: list[Task]) -> None:
    tools: Any = [contract.to_openai() for contract in live.toolset(tasks[0], 0)]
    messages: list[Any] = [SYSTEM, {"role": "user", "content": tasks[0].question}]
    completion = client.chat.completions.create(model="scripted-lab", messages=messages, tools=tools)
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    call: Any = choice.message.tool_calls and choice.message.tool_calls[0]
    assert call.function.name in {tool["function"]["name"] for tool in tools}
    assert isinstance(orjson.loads(call.function.arguments), dict)
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > 0
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_a_json_schema_and_settings_reach_the_model() -> None:
    seen: list[ChatRequest] = []

    class Recorder:
        name = "recorder"

        async def complete(self, request: ChatRequest) -> ChatReply:
            seen.append(request)
            return ChatReply({"role": "assistant", "content": '{"a": 1}'})

    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    parts: Any = [{"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}]
    with serve(Recorder()) as url, openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        completion = client.chat.completions.create(
            model="recorder", messages=parts, response_format=wanted, seed=7, temperature=0.5, max_tokens=9
        )
    assert completion.choices[0].message.content == '{"a": 1}'
    assert completion.choices[0].finish_reason == "stop"
    request = seen[0]
    assert request.response_schema == schema
    assert (request.seed, request.temperature, request.max_tokens) == (7, 0.5, 9)
    assert request.messages[0]["content"] == "one two"


@pytest.mark.parametrize(
    ("change", "status", "parameter"),
    [
        ({"model": "other"}, 404, "model"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, 400, "messages"),
        ({"stream": True}, 400, "stream"),
        ({"n": 3}, 400, "n"),
        ({"tools": "none"}, 400, "tools"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"response_format": {"type": "json_schema"}}, 400, "response_format"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, 502, None),
    ],
)
def test_bad_requests_get_openai_errors(url: str, change: dict[str, Any], status: int, parameter: str | None) -> None:
    body = {"model": "scripted-lab", "messages": [SYSTEM, {"role": "user", "content": "?"}], **change}
    got, answer = raw(url, "POST", "/v1/chat/completions", orjson.dumps(body))
    assert (got, answer["error"]["param"]) == (status, parameter)
    assert answer["error"]["message"]
    assert answer["error"]["type"] == ("invalid_request_error" if status < 500 else "server_error")


def test_clients_see_them_as_their_own_exceptions(client: openai.OpenAI) -> None:
    messages: Any = [SYSTEM, {"role": "user", "content": "?"}]
    with pytest.raises(openai.NotFoundError, match="there is 'scripted-lab'"):
        client.chat.completions.create(model="gpt", messages=messages)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 5_000, b'{"a":' * 200 + b"1" + b"}" * 200])
def test_malformed_bodies_are_refused(url: str, body: bytes) -> None:
    assert raw(url, "POST", "/v1/chat/completions", body)[0] == 400


def test_bodies_are_bounded_before_they_are_read(url: str) -> None:
    head = {"Content-Length": str(MAX_BODY_BYTES + 1)}
    assert raw(url, "POST", "/v1/chat/completions", b"", head)[0] == 413
    assert raw(url, "POST", "/v1/chat/completions", None, {"Transfer-Encoding": "chunked"})[0] == 411
    assert raw(url, "POST", "/v1/chat/completions", b"{}", {"Content-Length": "-1"})[0] == 411


def test_unknown_routes_and_methods(url: str) -> None:
    assert raw(url, "GET", "/v1/nothing")[0] == 404
    assert raw(url, "POST", "/v1/nothing", b"{}")[0] == 404
    assert raw(url, "GET", "/v1/chat/completions")[0] == 405
    assert raw(url, "POST", "/v1/models", b"{}")[0] == 405
    status, answer = raw(url, "PUT", "/v1/models", b"{}")
    assert status == 501
    assert answer["error"]["type"] == "server_error"


def test_a_failing_model_does_not_end_the_server() -> None:
    class Failing:
        name = "failing"

        async def complete(self, request: ChatRequest) -> ChatReply:
            raise ModelError("no usable answer") if request.seed else RuntimeError("a bug")

    body = {"model": "failing", "messages": [{"role": "user", "content": "?"}]}
    with serve(Failing()) as url:
        statuses = [raw(url, "POST", "/v1/chat/completions", orjson.dumps({**body, "seed": n}))[0] for n in (0, 1, 0)]
    assert statuses == [500, 502, 500]


def test_many_clients_are_answered_at_once() -> None:
    class Slow:
        name = "slow"
        running = most = 0

        async def complete(self, request: ChatRequest) -> ChatReply:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0.1)
            self.running -= 1
            return ChatReply({"role": "assistant", "content": "done"})

    model, body = Slow(), orjson.dumps({"model": "slow", "messages": [{"role": "user", "content": "?"}]})
    with serve(model) as url, ThreadPoolExecutor(8) as pool:
        statuses = [got[0] for got in pool.map(lambda _: raw(url, "POST", "/v1/chat/completions", body), range(8))]
    assert statuses == [200] * 8
    assert model.most > 1


def test_the_end_is_clean_while_a_request_is_running() -> None:
    class Stuck:
        name = "stuck"

        async def complete(self, request: ChatRequest) -> ChatReply:
            await asyncio.sleep(600)
            raise AssertionError

    body = orjson.dumps({"model": "stuck", "messages": [{"role": "user", "content": "?"}]})
    with ThreadPoolExecutor(1) as pool:
        with serve(Stuck()) as url:
            waiting = pool.submit(raw, url, "POST", "/v1/chat/completions", body)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
        assert waiting.result(5)[0] == 500
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) != 0


def test_a_taken_port_is_bad_input(url: str) -> None:
    with pytest.raises(InputError, match="can't listen"), serve(ScriptedModel(), port=urlsplit(url).port or 0):
        pass
