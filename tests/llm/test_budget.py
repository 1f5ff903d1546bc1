"""Budgets under a virtual clock: never exceeded in any minute, never idle for nothing, fair."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtual
from understudy.llm.budget import Budget
from virtual import most_within


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 50), st.integers(1, 120), st.floats(0, 20), st.integers(0, 2**16))
def test_no_minute_sees_more_requests_than_the_budget(per_minute, count, latency, seed):
    async def work():
        budget, draw, sent = Budget.of_requests(per_minute), random.Random(seed), []

        async def request():
            await asyncio.sleep(draw.random() * latency)
            async with budget.spend(1):
                sent.append((virtual.now(), 1))

        await asyncio.gather(*(request() for _ in range(count)))
        return sent

    sent = virtual.run(work())
    assert len(sent) == count
    assert most_within(sent, 60.0) <= per_minute


@settings(max_examples=25, deadline=None)
@given(st.integers(100, 1000), st.lists(st.tuples(st.integers(1, 90), st.floats(0, 1)), max_size=40), st.floats(0, 90))
def test_no_minute_sees_more_tokens_than_the_budget_whenever_they_are_counted(limit, requests, latency):
    """A server may count a request when it comes or when it is answered; neither may exceed."""

    async def work():
        budget, came, answered = Budget(limit), [], []

        async def request(most, share):
            spent = int(most * share)
            async with budget.spend(most) as bill:
                came.append((virtual.now(), spent))
                await asyncio.sleep(latency)
                answered.append((virtual.now(), spent))
                bill.amount = spent

        await asyncio.gather(*(request(*one) for one in requests))
        return came, answered

    for events in virtual.run(work()):
        assert len(events) == len(requests)
        assert most_within(events, 60.0) <= limit


@pytest.mark.parametrize(("per_minute", "count"), [(7, 70), (60, 600), (600, 3000)])
def test_a_budget_of_requests_is_used_up_and_spread(per_minute, count):
    async def work():
        budget, sent = Budget.of_requests(per_minute), []
        for _ in range(count):
            async with budget.spend(1):
                sent.append((virtual.now(), 1))
        return sent

    sent = virtual.run(work())
    assert sent[-1][0] <= 60.0 * count / per_minute + 0.001
    assert most_within(sent, 6.0) <= max(1, per_minute // 10)


def test_a_reservation_that_was_too_large_is_given_back_when_it_settles():
    async def work():
        budget = Budget(1200)
        for _ in range(100):
            async with budget.spend(1000) as bill:
                await asyncio.sleep(0.01)
                bill.amount = 1
        return virtual.now()

    assert virtual.run(work()) < 60.0


def test_more_than_the_whole_budget_is_let_through_alone():
    async def work():
        budget, sent = Budget(100), []
        for most in (500, 500, 1):
            async with budget.spend(most):
                sent.append(virtual.now())
        return sent

    assert virtual.run(work()) == pytest.approx([0.0, 60.0, 120.0])


def test_a_large_request_is_not_starved_by_small_ones():
    async def work():
        budget, order = Budget(100), []

        async def request(name, amount):
            async with budget.spend(amount):
                order.append(name)
                await asyncio.sleep(1)

        async with budget.spend(60):
            waiting = [asyncio.create_task(request("large", 100))]
            waiting += [asyncio.create_task(request("small", 1)) for _ in range(5)]
            await asyncio.sleep(1)
        await asyncio.gather(*waiting)
        return order

    assert virtual.run(work()) == ["large"] + ["small"] * 5


def test_who_stops_waiting_spends_nothing():
    async def work():
        budget = Budget(1)

        async def request():
            async with budget.spend(1):
                pass

        await request()
        waiting = asyncio.create_task(request())
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await request()
        return virtual.now()

    assert virtual.run(work()) == pytest.approx(60.0)
