"""The agents as one teacher: tools and facts for a task, then turns and observations for its rollout."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.agents.autoagent import AutoAgent
from understudy.agents.factdrafter import FactDrafter
from understudy.agents.toolactor import ToolActor
from understudy.agents.toolmaker import ToolMaker
from understudy.contract import ToolContract
from understudy.seed import derive_seed
from understudy.task import Task
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox
from understudy.world import World


class AgentTeacher:
    """A ``Teacher`` made of the four agents, each on the chat model it was given.

    Args:
        toolmaker: makes a task's contracts.
        factdrafter: drafts its facts; None leaves the tools to what the ToolActor's model knows.
        autoagent: decides.
        toolactor: acts the tools; utilities compute.
        from_evidence: whether facts may come from a task's evidence.
    """

    def __init__(
        self,
        toolmaker: ToolMaker,
        factdrafter: FactDrafter | None,
        autoagent: AutoAgent,
        toolactor: ToolActor,
        from_evidence: bool = True,
    ) -> None:
        self._toolmaker, self._factdrafter, self._from_evidence = toolmaker, factdrafter, from_evidence
        self.policy = autoagent
        self.tools = Toolbox(SimulatedTools(toolactor))
        self.name = f"agents:{autoagent.model.name}"
        drafting: Mapping[str, str] = factdrafter.prompts if factdrafter else {}
        self.prompts: Mapping[str, str] = {**toolmaker.prompts, **drafting, **autoagent.prompts, **toolactor.prompts}

    async def prepare(self, task: Task, seed: int) -> tuple[tuple[ToolContract, ...], World]:
        """Make the task's contracts, and draft its facts.

        Raises:
            ModelError: no acceptable toolset, or no acceptable facts.
        """
        toolset = await self._toolmaker.make(task.question, derive_seed(seed, task.id, "tools"))
        if self._factdrafter is None:
            return toolset.contracts, World(task.id)
        world = await self._factdrafter.draft(task, self._from_evidence, derive_seed(seed, task.id, "facts"))
        return toolset.contracts, world
