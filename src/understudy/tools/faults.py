"""Faults and noise put into tools by code, so that a policy meets in training what real tools do.

What happens to a call is a pure function of (seed, world, contract, canonical arguments) and of the rates, so all
rollouts of a group see the same. A call that is hit at some rate is hit at every higher one. Utilities are left alone:
they really compute, in training as anywhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Any

from pydantic import Field

from understudy.checks.contradiction import contradictions
from understudy.config import Config
from understudy.contract import ToolContract
from understudy.errors import SimulatorError, ToolError
from understudy.protocols import Prompted, ToolSource
from understudy.seed import derive_seed
from understudy.trace import Call, Observation, Source, Status
from understudy.world import World


class InjectedFault(StrEnum):
    """What is done to a call. Of several that hit it, the first counts."""

    SIMULATOR_FAILURE = "simulator_failure"
    TIMEOUT = "timeout"
    TOOL_ERROR = "tool_error"
    EMPTY = "empty"
    NOISE = "noise"


class FaultRates(Config):
    """Shares of calls that are hit, utilities left out. Each kind is drawn by itself."""

    simulator_failure: float = Field(default=0.0, ge=0, le=1)
    """The simulator fails. Ends the rollout, which is masked: nobody is blamed."""

    timeout: float = Field(default=0.0, ge=0, le=1)
    """The tool gives no answer in time: a ``tool_error`` that says so. Nobody waits."""

    tool_error: float = Field(default=0.0, ge=0, le=1)
    """The tool finds nothing: a ``tool_error``, worded as a miss."""

    empty: float = Field(default=0.0, ge=0, le=1)
    """A result with empty texts and lists, where the contract allows them."""

    noise: float = Field(default=0.0, ge=0, le=1)
    """A result with a field or a record more, which means nothing, breaks no contract and denies no fact."""


class FaultSettings(Config):
    """Faults and noise of the tools in training; validation is spared. Rates rise evenly from batch to batch."""

    start: FaultRates = FaultRates()
    """In the first batch."""

    end: FaultRates = FaultRates()
    """In the last batch."""

    def at(self, progress: float) -> FaultRates:
        """The rates at a point of the run, 0 for its first batch and 1 for its last."""
        first, last = dict(self.start), dict(self.end)
        return FaultRates(**{name: first[name] + progress * (last[name] - first[name]) for name in first})


class FaultyTools:
    """A ``ToolSource`` in front of another one, some of whose answers it spoils.

    Args:
        source: who answers calls.
        rates: how often what happens; may be set anew while no rollout is open.
        seed: of what is hit.

    Attributes:
        hits: calls hit so far, by kind, and ``calls``: all but those of utilities. For whoever logs them to clear.
    """

    def __init__(self, source: ToolSource, rates: FaultRates, seed: int) -> None:
        self._source, self._seed = source, seed
        self.rates = rates
        self.name = f"{source.name}+faults"
        self.hits: Counter[str] = Counter()

    @property
    def prompts(self) -> Mapping[str, str]:
        """Those of the source behind it."""
        return self._source.prompts if isinstance(self._source, Prompted) else {}

    def source_of(self, contract: ToolContract) -> Source:
        """As the source behind it says."""
        return self._source.source_of(contract)

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        """Let the source answer, or spoil the answer.

        Raises:
            ToolError: the source says so, or is made to.
            SimulatorError: the source failed, or is made to.
        """
        if self.source_of(contract) is Source.UTILITY:
            return await self._source.call(contract, call, world)
        self.hits["calls"] += 1
        key = (self._seed, world.id, World.memo_key(contract, call.arguments))
        rates = dict(self.rates)
        fault = next((one for one in InjectedFault if Random(derive_seed(*key, one)).random() < rates[one]), None)
        if fault in (InjectedFault.SIMULATOR_FAILURE, InjectedFault.TIMEOUT, InjectedFault.TOOL_ERROR):
            self.hits[fault] += 1
            if fault is InjectedFault.SIMULATOR_FAILURE:
                raise SimulatorError("a failure put in by [faults]")
            asked = " ".join(str(value) for value in call.arguments.values())[:200]
            raise ToolError(f"no record of {asked!r}" if fault is InjectedFault.TOOL_ERROR else "timed out; no answer")
        observation = await self._source.call(contract, call, world)
        if fault is None or observation.status is not Status.OK:
            return observation
        draw = Random(derive_seed(*key, fault, "content"))
        content = observation.content
        changed = [_emptied(content, call.arguments)] if fault is InjectedFault.EMPTY else _noisy(content, draw)
        for one in changed:
            if one == content or contract.result_violations(one):
                continue
            if not contradictions(one, call.arguments, world.facts, contract.name):
                self.hits[fault] += 1
                return observation.model_copy(update={"content": one})
        return observation


def _emptied(value: Any, arguments: Mapping[str, Any]) -> Any:
    """A result without its lists and texts; what it repeats of the call, and numbers, stay."""
    if isinstance(value, dict):
        return {name: _emptied(item, arguments) for name, item in value.items()}
    if isinstance(value, list):
        return []
    return "" if isinstance(value, str) and value not in arguments.values() else value


def _noisy(content: Any, draw: Random) -> list[Any]:
    """Results with something added, the one to be preferred first; none of what is not an object."""
    if not isinstance(content, dict):
        return []
    made = []
    for name, records in content.items():
        if isinstance(records, list) and records and isinstance(records[0], dict):
            place = draw.randrange(len(records) + 1)
            made.append({**content, name: [*records[:place], _meaningless(records[0], draw), *records[place:]]})
    for name, value in (("entry_id", draw.randrange(10_000, 100_000)), ("cached", draw.random() < 0.5)):
        if name not in content:
            made.append({**content, name: value})
    return made


def _meaningless(record: Mapping[str, Any], draw: Random) -> dict[str, Any]:
    """A record of the same shape about nothing: texts that name no thing, and other values as they were."""
    return {
        name: f"entry {draw.randrange(10_000, 100_000)}" if isinstance(value, str) else value
        for name, value in record.items()
    }
