import asyncio

import pytest

from strategies import CONTRACT
from understudy.errors import SimulatorError
from understudy.task import Fact
from understudy.world import FactsFrom, Remembered, World

FACTS = [Fact(subject="The Film", relation="director", object="Ann Lee")]


def test_facts_are_found_from_both_sides_whatever_the_spelling():
    world = World("t", [*FACTS, *FACTS], FactsFrom.EVIDENCE)
    assert world.facts == tuple(FACTS)
    assert world.about("the film!") == FACTS
    assert world.about("ann lee") == FACTS
    assert world.about("Bob") == []


def test_id_depends_on_what_is_true():
    assert World("t", FACTS).id == World("t", FACTS).id
    assert World("t", FACTS).id != World("t").id
    assert World("t", FACTS).id != World("u", FACTS).id


async def test_equal_calls_are_computed_once_in_any_order_and_remembered():
    world, computed = World("t"), []

    def compute(value):
        async def run():
            computed.append(value)
            await asyncio.sleep(0.001)
            return Remembered(content={"n": len(computed)}, status="ok")

        return run

    arguments = [{"film": "A"}, {"film": " A "}, {"film": "B"}] * 5
    results = await asyncio.gather(*(world.observe(CONTRACT, a, compute(a["film"].strip())) for a in arguments))
    assert sorted(computed) == ["A", "B"]
    assert len({str(r.content) for r, a in zip(results, arguments, strict=True) if "A" in a["film"]}) == 1
    again = World.from_record(world.to_record())
    assert again.memo == world.memo
    assert again.id == world.id
    assert await again.observe(CONTRACT, {"film": "A"}, compute("never")) == results[0]


async def test_a_failure_reaches_all_waiters_and_is_not_remembered():
    world = World("t")

    async def fail():
        await asyncio.sleep(0.001)
        raise SimulatorError("broken")

    results = await asyncio.gather(
        *(world.observe(CONTRACT, {"film": "A"}, fail) for _ in range(3)), return_exceptions=True
    )
    assert [type(r) for r in results] == [SimulatorError] * 3
    assert world.memo == {}


async def test_a_waiter_that_gives_up_does_not_cancel_the_others():
    world = World("t")

    async def slow():
        await asyncio.sleep(0.02)
        return Remembered(content=1, status="ok")

    first = asyncio.ensure_future(world.observe(CONTRACT, {"film": "A"}, slow))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(world.observe(CONTRACT, {"film": "A"}, slow))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).content == 1
