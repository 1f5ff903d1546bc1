"""A tool source whose utilities really compute, whoever answers everything else."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.contract import ToolContract
from understudy.protocols import Prompted, ToolSource
from understudy.tools.utilities import UTILITIES
from understudy.trace import Call, Observation, Source
from understudy.world import World


class Toolbox:
    """Runs utilities in code and passes every other call on.

    Args:
        source: who answers calls of task-specific tools.
    """

    def __init__(self, source: ToolSource) -> None:
        self._source = source
        self.name = source.name

    @property
    def prompts(self) -> Mapping[str, str]:
        """Those of the source behind it."""
        return self._source.prompts if isinstance(self._source, Prompted) else {}

    def source_of(self, contract: ToolContract) -> Source:
        """``utility`` for utilities, else what the source says."""
        return Source.UTILITY if contract.name in UTILITIES else self._source.source_of(contract)

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        """Compute, or let the source answer.

        Raises:
            ToolError: a utility can't compute this, or the source says so.
            SimulatorError: the source failed.
        """
        utility = UTILITIES.get(contract.name)
        if utility is None:
            return await self._source.call(contract, call, world)
        content = utility.run(call.arguments)
        return Observation(call_id=call.id, name=call.name, content=content, source=Source.UTILITY)
