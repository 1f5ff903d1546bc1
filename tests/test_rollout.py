"""The loop with a scripted policy: every stop reason, recovery, and blame."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import CONTRACT
from understudy.errors import ModelError, OutageError, SimulatorError, ToolError
from understudy.grammar import parse_turn
from understudy.messages import to_messages, to_steps
from understudy.protocols import Sample
from understudy.rollout import Limits, derive_seed, rollout
from understudy.task import Task
from understudy.trace import Fault, Observation, ParseFault, Source, Status, Stop, Turn
from understudy.world import World

TASK = Task(id="t", question="Who directed A?", answers=("B",))
CALL = '<think>look</think><tool_call>{"name": "find_director", "arguments": {"film": "A"}}</tool_call>'
ANSWER = "<answer>B</answer>"


class Script:
    """A policy and its session: says the given texts one after the other (the last for ever)."""

    name = "script"

    def __init__(self, *texts, truncated=False, error=None, delay=0.0):
        self.texts, self.truncated, self.error, self.delay = texts, truncated, error, delay
        self.seen, self.closed = [], 0

    def open(self, task, toolset, seed):
        return self

    async def step(self, observations):
        self.seen.append(list(observations))
        await asyncio.sleep(self.delay)
        if self.error:
            raise self.error
        text = self.texts[min(len(self.seen), len(self.texts)) - 1]
        return Sample(parse_turn(text, len(self.seen)), sampled=10, prompted=5, cost=0.5, truncated=self.truncated)

    def tokens(self):
        return None

    def close(self):
        self.closed += 1


class Tools:
    name = "tools"

    def __init__(self, result=None, source=Source.SIMULATED, error=None, delay=0.0):
        self.result, self.source, self.error, self.delay = result or {"director": "B"}, source, error, delay
        self.open_calls = self.most_open = 0

    def source_of(self, contract):
        return self.source

    async def call(self, contract, call, world):
        self.open_calls += 1
        self.most_open = max(self.most_open, self.open_calls)
        await asyncio.sleep(self.delay)
        self.open_calls -= 1
        if self.error:
            raise self.error
        return Observation(call_id=call.id, name=call.name, content=self.result, source=self.source)


async def run(policy, tools=None, **limits):
    trace = await rollout(TASK, [CONTRACT], World("t"), policy, tools or Tools(), Limits(**limits), seed=1)
    assert policy.closed == 1
    assert to_steps(to_messages(trace)) == trace.steps
    return trace


async def test_answered():
    trace = await run(Script(CALL, ANSWER))
    assert (trace.stop, trace.answer) == (Stop.ANSWERED, "B")
    assert trace.observations[0].content == {"director": "B"}
    assert trace.provenance.usage == {"sampled": 20, "prompted": 10, "requests": 2}
    assert trace.provenance.cost == 1.0


@pytest.mark.parametrize(
    ("policy", "limits", "stop"),
    [
        (Script(CALL), {"max_turns": 3}, Stop.MAX_TURNS),
        (Script(CALL), {"max_tokens": 25}, Stop.MAX_TOKENS),
        (Script("<think>a", truncated=True), {}, Stop.MAX_TOKENS),
        (Script(CALL, delay=0.05), {"timeout": 0.02}, Stop.TIMEOUT),
        (Script("nonsense"), {}, Stop.MALFORMED),
        (Script(CALL, error=ModelError("endpoint down")), {}, Stop.POLICY_ERROR),
    ],
)
async def test_every_limit_has_its_stop_reason(policy, limits, stop):
    trace = await run(policy, **limits)
    assert trace.stop is stop
    assert trace.detail
    assert trace.answer is None


async def test_turn_limit_counts_calling_turns_and_grants_one_to_answer():
    trace = await run(Script(CALL, CALL, ANSWER), max_turns=2)
    assert trace.stop is Stop.ANSWERED
    assert len((await run(Script(CALL), max_turns=2)).observations) == 2


async def test_calls_beyond_the_limit_are_refused_and_an_answer_is_still_taken():
    thought, call = CALL.split("</think>")
    twice = f"{thought}</think>{call}{call}"
    trace = await run(Script(twice, twice, ANSWER), max_calls=3)
    assert [seen.status for seen in trace.observations] == [Status.OK] * 3 + [Status.INVALID_CALL]
    assert trace.stop is Stop.ANSWERED
    none = await run(Script(CALL, ANSWER), max_calls=0)
    assert [seen.status for seen in none.observations] == [Status.INVALID_CALL]


async def test_a_slow_tool_times_out_and_leaves_the_turn_readable():
    trace = await run(Script(CALL), Tools(delay=1.0), timeout=0.02)
    assert trace.stop is Stop.TIMEOUT
    assert isinstance(trace.steps[0].turn, Turn)
    assert trace.steps[0].observations == ()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ('<tool_call>{"name": "nope", "arguments": {}}</tool_call>', "unknown tool"),
        ('<tool_call>{"name": "find_director", "arguments": {"movie": "A"}}</tool_call>', "invalid arguments"),
        ("<tool_call>{</tool_call>", "malformed turn"),
    ],
)
async def test_a_bad_call_is_answered_so_that_the_policy_can_recover(bad, says):
    policy = Script(bad, CALL, ANSWER)
    trace = await run(policy)
    assert trace.stop is Stop.ANSWERED
    (error,) = policy.seen[1]
    assert error.status is Status.INVALID_CALL
    assert says in error.content["error"]["message"]
    assert error.source is Source.LOOP


@pytest.mark.parametrize(
    ("tools", "status"),
    [
        (Tools(error=ToolError("no record")), Status.TOOL_ERROR),
        (Tools(error=SimulatorError("no valid answer")), Status.SIMULATOR_FAILURE),
        (Tools(error=RuntimeError("bug")), Status.SIMULATOR_FAILURE),
        (Tools(error=RuntimeError("bug"), source=Source.LIVE), Status.TOOL_ERROR),
        (Tools(result={"director": 3}), Status.SIMULATOR_FAILURE),
        (Tools(result={"director": 3}, source=Source.LIVE), Status.TOOL_ERROR),
    ],
)
async def test_blame(tools, status):
    trace = await run(Script(CALL, ANSWER), tools)
    assert trace.observations[0].status is status
    simulator = status is Status.SIMULATOR_FAILURE
    assert trace.stop is (Stop.SIMULATOR_FAILURE if simulator else Stop.ANSWERED)


@pytest.mark.parametrize(
    ("policy", "tools"),
    [
        (Script(error=OutageError("no server")), Tools()),
        (Script(CALL), Tools(error=OutageError("no server"))),
    ],
)
async def test_an_outage_is_nobodys_fault_and_makes_no_trace(policy, tools):
    with pytest.raises(OutageError, match="no server"):
        await run(policy, tools)
    assert policy.closed == 1


async def test_calls_of_one_turn_run_together_and_answer_in_order():
    calls = "".join(
        f'<tool_call>{{"name": "find_director", "arguments": {{"film": "{x}"}}}}</tool_call>' for x in "ABC"
    )
    tools = Tools(delay=0.005)
    trace = await run(Script(calls, ANSWER), tools)
    assert tools.most_open == 3
    assert [o.call_id for o in trace.observations] == [c.id for c in trace.steps[0].turn.calls]


async def test_rollouts_do_not_wait_for_each_other():
    tools = Tools(delay=0.02)
    await asyncio.gather(*(run(Script(CALL, ANSWER), tools) for _ in range(20)))
    assert tools.most_open == 20


async def test_a_bug_in_a_policy_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        await run(Script(CALL, error=ZeroDivisionError()))


@given(st.lists(st.sampled_from([CALL, ANSWER, "x", "<tool_call>{</tool_call>"]), min_size=1, max_size=8))
def test_any_script_ends_in_a_trace(texts):
    trace = asyncio.run(run(Script(*texts), max_turns=3))
    assert trace.stop in (Stop.ANSWERED, Stop.MAX_TURNS, Stop.MALFORMED)
    faults = [s for s in trace.steps if isinstance(s.turn, ParseFault)]
    assert len(faults) <= Limits().max_faults + 1
    assert all(f.turn.fault in (Fault.STRAY_TEXT, Fault.CALL_NOT_JSON) for f in faults)


def test_seeds_depend_on_every_part():
    seeds = {derive_seed(*parts) for parts in [(1, "a", 0), (1, "a", 1), (2, "a", 0), (1, "a0", ""), ("1a", 0)]}
    assert len(seeds) == 5
    assert derive_seed(1, "a", 0) == derive_seed(1, "a", 0)
    assert all(0 <= seed < 2**63 for seed in seeds)
