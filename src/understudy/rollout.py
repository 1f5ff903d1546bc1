"""The loop. Synthesis, training and evaluation all run through it; only the policy and the tool source differ.

A policy's mistakes come back to it as structured errors that it can recover from. Faults of a simulator end the rollout
under their own name and are never charged to the policy. No expected failure of either raises out of here; only an
outage, which would fail every rollout alike, does.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import Field

from understudy.config import Config
from understudy.contract import ToolContract
from understudy.errors import OutageError, SimulatorError, ToolError, UnderstudyError
from understudy.protocols import Policy, Prompted, Sample, Session, ToolSource
from understudy.seed import derive_seed as derive_seed
from understudy.task import Task
from understudy.trace import Call, Observation, ParseFault, Provenance, Source, Status, Step, Stop, Trace
from understudy.world import World


class Limits(Config):
    """What one rollout may use up."""

    max_turns: int = Field(default=8, ge=0)
    """Turns that call tools. One more turn is granted to answer in. (8 in synthesis, 5 in training and evaluation.)"""

    max_calls: int | None = Field(default=None, ge=0)
    """Calls over all turns; further ones are refused, and the policy may still answer. None: as many as it makes."""

    max_faults: int = Field(default=2, ge=0)
    """Malformed turns that are answered with an error; the next one ends the rollout as ``malformed``."""

    max_tokens: int = Field(default=4096, gt=0)
    """Sampled tokens over all turns, for policies that count them."""

    timeout: float = Field(default=300.0, gt=0)
    """Seconds for the whole rollout."""


async def rollout(
    task: Task,
    toolset: Sequence[ToolContract],
    world: World,
    policy: Policy,
    tools: ToolSource,
    limits: Limits,
    seed: int,
) -> Trace:
    """Run one policy on one task until it answers or a limit stops it.

    Args:
        task: the question; a policy that is a model sees nothing else of it.
        toolset: the contracts offered, names unique.
        world: what is true; shared by all rollouts of the task.
        policy: who decides.
        tools: who answers calls.
        limits: turns, faults, tokens and seconds.
        seed: of this rollout; the policy derives all its randomness from it.

    Returns:
        The trace. Its ``stop`` and ``detail`` say how it ended, also when it ended badly.

    Raises:
        OutageError: what every rollout needs is gone.
    """
    run = _Run({contract.name: contract for contract in toolset}, world, tools, limits)
    started = time.perf_counter()
    session: Session | None = None
    stop, detail = Stop.POLICY_ERROR, ""
    try:
        async with asyncio.timeout(limits.timeout):
            session = policy.open(task, toolset, seed)
            stop, detail = await run.until_stop(session)
    except TimeoutError:
        stop, detail = Stop.TIMEOUT, f"no answer within {limits.timeout:g} s"
    except OutageError:
        raise
    except UnderstudyError as error:
        stop, detail = Stop.POLICY_ERROR, str(error)
    finally:
        tokens = session.tokens() if session else None
        if session:
            session.close()
    provenance = Provenance(
        policy=policy.name,
        tools=tools.name,
        facts=world.facts_from.value,
        seed=seed,
        prompts={**_prompts(policy), **_prompts(tools)},
        usage=dict(run.usage),
        cost=run.cost,
        seconds=round(time.perf_counter() - started, 6),
    )
    return Trace(
        task_id=task.id,
        question=task.question,
        toolset=tuple(toolset),
        world_id=world.id,
        steps=tuple(run.steps),
        stop=stop,
        detail=detail,
        provenance=provenance,
        tokens=tokens,
    )


class _Run:
    """The state of one rollout, kept outside of the coroutine so that a time-out leaves a readable trace."""

    def __init__(self, contracts: dict[str, ToolContract], world: World, tools: ToolSource, limits: Limits) -> None:
        self.steps: list[Step] = []
        self.usage: Counter[str] = Counter()
        self.cost = 0.0
        self._contracts, self._world, self._tools, self._limits = contracts, world, tools, limits
        self._calling_turns = self._calls = self._faults = 0

    async def until_stop(self, session: Session) -> tuple[Stop, str]:
        observations: tuple[Observation, ...] = ()
        while True:
            sample = await session.step(observations)
            self._count(sample)
            turn = sample.outcome
            self.steps.append(Step(turn=turn))
            if (ended := self._ended_by(sample)) is not None:
                return ended
            if isinstance(turn, ParseFault):
                observations = (_error("", "", Status.INVALID_CALL, f"malformed turn: {turn.detail}"),)
            else:
                allowed = self._allow(len(turn.calls))
                answered = await asyncio.gather(*map(self._answer, turn.calls[:allowed]))
                observations = (*answered, *map(self._refuse, turn.calls[allowed:]))
            self.steps[-1] = Step(turn=turn, observations=observations)
            for observation in observations:
                if observation.status is Status.SIMULATOR_FAILURE:
                    return Stop.SIMULATOR_FAILURE, f"{observation.name}: {observation.content['error']['message']}"

    def _count(self, sample: Sample) -> None:
        self.usage["sampled"] += sample.sampled
        self.usage["prompted"] += sample.prompted
        self.usage["requests"] += 1
        self.cost += sample.cost

    def _ended_by(self, sample: Sample) -> tuple[Stop, str] | None:
        turn = sample.outcome
        if not isinstance(turn, ParseFault) and turn.answer is not None:
            return Stop.ANSWERED, ""
        if sample.truncated or self.usage["sampled"] >= self._limits.max_tokens:
            return Stop.MAX_TOKENS, f"{self.usage['sampled']} tokens sampled without an answer"
        if isinstance(turn, ParseFault):
            self._faults += 1
            if self._faults > self._limits.max_faults:
                return Stop.MALFORMED, f"{turn.fault}: {turn.detail}"
            return None
        self._calling_turns += 1
        if self._calling_turns > self._limits.max_turns:
            return Stop.MAX_TURNS, f"{self._limits.max_turns} turns of calls without an answer"
        return None

    def _allow(self, calls: int) -> int:
        """How many of a turn's calls are made."""
        limit = self._limits.max_calls
        allowed = calls if limit is None else min(calls, max(0, limit - self._calls))
        self._calls += allowed
        return allowed

    def _refuse(self, call: Call) -> Observation:
        made = f"all {self._limits.max_calls} calls are made; answer from what is known"
        return _error(call.id, call.name, Status.INVALID_CALL, made)

    async def _answer(self, call: Call) -> Observation:
        contract = self._contracts.get(call.name)
        if contract is None:
            known = ", ".join(self._contracts) or "none"
            return _error(call.id, call.name, Status.INVALID_CALL, f"unknown tool {call.name!r}; tools: {known}")
        if problems := contract.argument_violations(call.arguments):
            return _error(call.id, call.name, Status.INVALID_CALL, f"invalid arguments: {'; '.join(problems)}")
        source = self._tools.source_of(contract)
        # A tool that breaks is a broken simulator if it is simulated; a live tool's failure is the world's.
        blamed = Status.SIMULATOR_FAILURE if source is Source.SIMULATED else Status.TOOL_ERROR
        try:
            observation = await self._tools.call(contract, call, self._world)
        except ToolError as error:
            return Observation.error(call.id, call.name, Status.TOOL_ERROR, str(error), source)
        except SimulatorError as error:
            return Observation.error(call.id, call.name, Status.SIMULATOR_FAILURE, str(error), source)
        except OutageError:
            raise
        except Exception as error:  # a tool may raise anything, and one bad tool must not end a thousand rollouts
            return Observation.error(call.id, call.name, blamed, f"{type(error).__name__}: {error}", source)
        if observation.status is Status.OK and (problems := contract.result_violations(observation.content)):
            message = f"the result breaks its contract: {'; '.join(problems)}"
            return Observation.error(call.id, call.name, blamed, message, source)
        return observation


def _prompts(component: object) -> Mapping[str, str]:
    return component.prompts if isinstance(component, Prompted) else {}


def _error(call_id: str, name: str, status: Status, message: str) -> Observation:
    return Observation.error(call_id, name, status, message, Source.LOOP)
