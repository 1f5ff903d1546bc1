"""Tools that a model acts: every call is answered by the ToolActor, and once answered, by the world's memory."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.agents.toolactor import ToolActor
from understudy.contract import ToolContract
from understudy.trace import Call, Observation, Source, Status
from understudy.world import World


class SimulatedTools:
    """A ``ToolSource`` whose every observation is a pure function of (world, contract, canonical arguments).

    Args:
        actor: who words the observations.
    """

    def __init__(self, actor: ToolActor) -> None:
        self._actor = actor
        self.name = f"simulated:{actor.model.name}"

    @property
    def prompts(self) -> Mapping[str, str]:
        """The ToolActor's prompt."""
        return self._actor.prompts

    def source_of(self, contract: ToolContract) -> Source:
        """Always simulated."""
        return Source.SIMULATED

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        """Answer from memory, or let the actor answer once for all who ask.

        Raises:
            SimulatorError: the actor found no valid answer.
        """
        remembered = await world.observe(
            contract, call.arguments, lambda: self._actor.act(contract, call.arguments, world)
        )
        return Observation(
            call_id=call.id,
            name=call.name,
            content=remembered.content,
            status=Status(remembered.status),
            source=Source.SIMULATED,
        )
