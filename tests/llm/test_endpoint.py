"""The endpoint over real HTTP on loopback, against a server that does what servers do."""

import asyncio
import email.utils
import json
import logging
import time
from contextlib import asynccontextmanager

import pytest

from faulty import http
from understudy.errors import InputError, ModelError, OutageError
from understudy.llm.endpoint import Endpoint, EndpointSettings
from understudy.llm.protocol import ChatRequest
from understudy.llm.retry import retry_after
from understudy.llm.transport import MAX_BODY_BYTES

REQUEST = ChatRequest(role="autoagent", messages=({"role": "user", "content": "hi"},), seed=2**62 + 5)


def said(text, **extra):
    return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], **extra}


class Server:
    """Answers request number n with ``script[n]`` (the last one for all others): bytes, or a coroutine function."""

    def __init__(self, *script):
        self.script, self.seen, self.active, self.most_active = script, [], 0, 0
        self.writers = []

    async def handle(self, reader, writer):
        self.writers.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
                body = json.loads(await reader.readexactly(int(fields["content-length"])))
                self.seen.append((time.monotonic(), fields, body))
                self.active += 1
                self.most_active = max(self.most_active, self.active)
                answer = self.script[min(len(self.seen), len(self.script)) - 1]
                data = answer if isinstance(answer, bytes) else await answer()
                self.active -= 1
                writer.write(data or b"")
                await writer.drain()
                if data is None or b"cut" in data:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def hang_up(self):
        for writer in self.writers:
            writer.close()


@asynccontextmanager
async def endpoint(*script, **settings):
    server = Server(*script)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.listening, server.port = listening, (port := listening.sockets[0].getsockname()[1])
    settings = {"backoff": 0.001, "timeout": 5.0, **settings}
    chosen = EndpointSettings(base_url=f"http://127.0.0.1:{port}/v1", model="m", **settings)
    async with listening, Endpoint(chosen) as model:
        yield model, server


async def test_reply_is_read():
    body = said("hello", usage={"prompt_tokens": 7, "completion_tokens": 2})
    async with endpoint(http(200, body)) as (model, server):
        reply = await model.complete(REQUEST)
    assert (reply.content, reply.finish_reason) == ("hello", "stop")
    assert (reply.prompt_tokens, reply.completion_tokens) == (7, 2)
    _, _, sent = server.seen[0]
    assert sent["model"] == "m"
    assert 0 <= sent["seed"] < 2**31


async def test_retry_after_is_honoured():
    limited = http(429, {"error": {"message": "slow down"}}, ["Retry-After: 0.3"])
    async with endpoint(limited, http(200, said("ok"))) as (model, server):
        assert (await model.complete(REQUEST)).content == "ok"
    assert server.seen[1][0] - server.seen[0][0] >= 0.3


async def test_a_retry_after_beyond_the_timeout_is_not_waited_for():
    async with endpoint(http(429, {}, ["Retry-After: 3600"])) as (model, server):
        with pytest.raises(ModelError, match="asks to wait 3600 s"):
            await model.complete(REQUEST)
    assert len(server.seen) == 1


async def hang():
    await asyncio.sleep(30)


async def drop():
    return None


@pytest.mark.parametrize(
    "fault",
    [
        http(500, {"error": {"message": "oops"}}),
        http(503, b"<html>busy</html>"),
        http(429, {"error": {"message": "slow down"}}),
        http(200, b"{not json"),
        http(200, {"error": {"message": "in a 200"}}),
        http(200, {"choices": []}),
        http(200, {"choices": [{"message": None}]}),
        http(200, b"null"),
        http(200, b"[" * 100_000),
        http(200, b'{"choices": [{"message": {"content": "cut"}}]}')[:-2],
        http(200, b" " * (MAX_BODY_BYTES + 1)),
        drop,
    ],
    ids=lambda fault: getattr(fault, "__name__", None) or fault[:60].decode().split("\r\n")[0],
)
async def test_what_may_pass_is_tried_again(fault):
    async with endpoint(fault, fault, http(200, said("ok"))) as (model, server):
        assert (await model.complete(REQUEST)).content == "ok"
    assert len(server.seen) == 3
    assert server.seen[0][2] == server.seen[2][2]


async def test_a_hanging_server_is_given_up():
    async with endpoint(hang, timeout=0.2, attempts=2) as (model, server):
        started = time.monotonic()
        with pytest.raises(ModelError, match=r"no reply within 0\.2 s \(2 attempts\)"):
            await model.complete(REQUEST)
    assert time.monotonic() - started < 3
    assert len(server.seen) == 2


async def test_a_server_that_is_not_there_is_an_outage_in_one_line_at_once():
    settings = EndpointSettings(base_url="http://user:pw@127.0.0.1:9/v1", model="m", backoff=30)
    async with Endpoint(settings) as model:
        with pytest.raises(OutageError, match=r"connection failed .*\(1 attempt\)") as caught:
            await model.complete(REQUEST)
    assert "\n" not in str(caught.value)
    assert "pw" not in str(caught.value)


async def test_a_server_that_goes_away_is_an_outage_after_all_attempts():
    async with endpoint(http(200, said("ok")), attempts=3) as (model, server):
        await model.complete(REQUEST)
        server.listening.close()
        server.hang_up()
        with pytest.raises(OutageError, match=r"connection failed .*\(3 attempts\)"):
            await model.complete(REQUEST)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": {"message": "bad\nrequest"}}, ModelError),
        (403, {"error": {"message": "flagged"}}, ModelError),
        (422, {"detail": [{"msg": "no such key"}]}, ModelError),
        (307, b"", OutageError),
        (401, {"error": {"message": "no"}}, OutageError),
        (402, {"error": "no money"}, OutageError),
        (404, {"message": "no such model"}, OutageError),
        (429, {"error": {"message": "no money", "code": "insufficient_quota"}}, OutageError),
    ],
)
async def test_what_cannot_pass_fails_at_once_and_alone_if_others_may(status, body, error):
    async with endpoint(http(status, body)) as (model, server):
        with pytest.raises(error, match=f"HTTP {status}: .*1 attempt") as caught:
            await model.complete(REQUEST)
    assert len(server.seen) == 1
    assert "\n" not in str(caught.value)


async def test_redirects_are_not_followed():
    async with endpoint(http(200, said("stolen"))) as (_, thief):
        elsewhere = f"Location: http://127.0.0.1:{thief.port}/"
        async with endpoint(http(307, b"", [elsewhere])) as (model, _):
            with pytest.raises(OutageError, match="HTTP 307"):
                await model.complete(REQUEST)
    assert thief.seen == []


async def test_the_key_is_sent_and_never_told(monkeypatch, caplog):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    caplog.set_level(logging.DEBUG)
    refusal = http(401, {"error": {"message": "wrong key sk-very-secret"}})
    async with endpoint(refusal, api_key_env="MY_KEY") as (model, server):
        with pytest.raises(OutageError, match=r"wrong key \*\*\*") as caught:
            await model.complete(REQUEST)
    assert server.seen[0][1]["authorization"] == "bearer sk-very-secret"
    assert "sk-very-secret" not in str(caught.value) + caplog.text + repr(model.settings)


async def test_local_servers_get_no_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password sk-of-somebody-else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with endpoint(http(200, said("ok"))) as (model, server):
        await model.complete(REQUEST)
    assert "sk-of-somebody-else" not in str(server.seen[0][1])
    assert "authorization" not in server.seen[0][1]


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(InputError, match="NO_KEY holds no API key"):
        Endpoint(EndpointSettings(base_url="http://127.0.0.1/v1", model="m", api_key_env="NO_KEY"))


async def test_concurrency_is_limited():
    async def slow():
        await asyncio.sleep(0.02)
        return http(200, said("ok"))

    async with endpoint(slow, concurrency=3) as (model, server):
        await asyncio.gather(*(model.complete(REQUEST) for _ in range(12)))
    assert server.most_active == 3


async def test_a_proxy_is_taken_from_the_environment(monkeypatch):
    async with endpoint(http(200, said("by proxy"))) as (_, proxy):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        settings = EndpointSettings(base_url="http://models.example/v1", model="m")
        async with Endpoint(settings) as model:
            assert (await model.complete(REQUEST)).content == "by proxy"
    assert proxy.seen[0][1]["host"] == "models.example"


async def test_an_answer_is_priced():
    usage = {"prompt_tokens": 1000, "completion_tokens": 10}
    price = {"prompt": 2.0, "completion": 50.0}
    async with endpoint(http(200, said("ok", usage=usage)), price=price) as (model, _):
        assert (await model.complete(REQUEST)).cost == pytest.approx(0.0025)


async def test_extra_and_omitted_keys():
    async with endpoint(http(200, said("ok")), extra={"top_p": 0.9}, omit=("seed", "max_tokens")) as (model, server):
        await model.complete(REQUEST)
    sent = server.seen[0][2]
    assert sent["top_p"] == 0.9
    assert not {"seed", "max_tokens"} & set(sent)


def test_retry_after_forms():
    assert retry_after({"retry-after": "2"}) == 2
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert 50 < retry_after({"retry-after": email.utils.formatdate(time.time() + 60, usegmt=True)}) <= 60
    for useless in ("", "-1", "nan", "soon", "Wed, 99 Foo"):
        assert retry_after({"retry-after": useless}) == 0
