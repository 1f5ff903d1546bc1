"""Budgets, slots, waiting and giving up, as a server sees them, under a virtual clock."""

import asyncio

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtual
from faulty import OK, REQUEST, FaultyTransport
from understudy.errors import ModelError
from understudy.llm.endpoint import Endpoint, EndpointSettings
from understudy.llm.transport import Response
from virtual import most_within


def ask(server, count, **limits):
    """Ask ``count`` times at once; returns how many were answered."""

    async def work():
        chosen = EndpointSettings(base_url="http://x/v1", model="m", timeout=10, **limits)
        async with Endpoint(chosen, transport=server) as model:
            answers = await asyncio.gather(*(model.complete(REQUEST) for _ in range(count)), return_exceptions=True)
        assert all(not isinstance(answer, Exception) or isinstance(answer, ModelError) for answer in answers)
        return sum(not isinstance(answer, Exception) for answer in answers)

    return virtual.run(work())


@settings(max_examples=20, deadline=None)
@given(
    st.integers(5, 60),
    st.integers(500, 5000),
    st.integers(1, 40),
    st.floats(0.1, 20),
    st.floats(0, 0.34),
    st.integers(0, 2**16),
)
def test_no_minute_exceeds_what_the_settings_allow(requests, tokens, concurrency, latency, faults, seed):
    server = FaultyTransport(faults, latency, seed)
    ask(server, 80, requests_per_minute=requests, tokens_per_minute=tokens, concurrency=concurrency, attempts=3)
    assert most_within(server.sent, 60.0) <= requests
    assert most_within(server.tokens, 60.0) <= tokens
    assert server.most_active <= concurrency


def test_repeated_requests_count_too():
    server = FaultyTransport(faults=0.3)
    answered = ask(server, 100, requests_per_minute=20, attempts=20)
    assert answered == 100
    assert len(server.sent) > 100
    assert most_within(server.sent, 60.0) <= 20


def test_without_budgets_only_slots_limit():
    server = FaultyTransport(latency=0.0)
    assert ask(server, 1000, concurrency=1000) == 1000
    assert server.sent[-1][0] == 0.0


def test_waits_grow_to_their_bound_and_are_not_all_the_same():
    class Broken(FaultyTransport):
        async def post(self, body):
            self.sent.append((virtual.now(), 1))
            return Response(500, "X", {}, b"")

    firsts, server = set(), Broken()
    for _ in range(5):
        server = Broken()
        assert ask(server, 1, attempts=30, backoff=1.0) == 0
        waits = [after - before for (before, _), (after, _) in zip(server.sent, server.sent[1:], strict=False)]
        assert all(0 <= wait <= min(30.0, 2.0**turn) for turn, wait in enumerate(waits))
        assert max(waits[6:]) > 15.0
        firsts.add(waits[0])
    assert len(server.sent) == 30
    assert len(firsts) == 5


def test_retry_after_is_the_least_that_is_waited():
    class Busy(FaultyTransport):
        async def post(self, body):
            self.sent.append((virtual.now(), 1))
            free = len(self.sent) > 3
            return Response(200, "", {}, orjson.dumps(OK)) if free else Response(429, "", {"retry-after": "7"}, b"")

    server = Busy()
    assert ask(server, 1, backoff=0.1) == 1
    waits = [after - before for (before, _), (after, _) in zip(server.sent, server.sent[1:], strict=False)]
    assert all(7.0 <= wait < 8.0 for wait in waits)


@pytest.mark.parametrize("attempts", [1, 4])
def test_attempts_are_bounded(attempts):
    server = FaultyTransport(faults=1.0)
    assert ask(server, 5, attempts=attempts) == 0
    assert len(server.sent) == 5 * attempts
