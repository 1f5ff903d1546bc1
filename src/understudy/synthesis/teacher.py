"""The teacher that is made of agents: ToolMaker, FactDrafter, AutoAgent, and a ToolActor behind the tools."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from understudy.agents.autoagent import AutoAgent, Form
from understudy.agents.factdrafter import FactDrafter
from understudy.agents.toolactor import ToolActor
from understudy.agents.toolmaker import ToolMaker
from understudy.contract import ToolContract
from understudy.llm.protocol import ChatModel, Role
from understudy.protocols import Policy, ToolSource
from understudy.synthesis.store import RunFolder
from understudy.synthesis.toolmaking import Toolmaking
from understudy.task import Task
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox
from understudy.world import World


class AgentTeacher:
    """Brings the agents together as a ``Teacher``.

    Args:
        maker: makes the toolset from the question alone.
        drafter: writes down the facts, from evidence where the task has it; None leaves worlds without facts.
        policy: the AutoAgent, or any other policy.
        tools: simulated tools, usually in a ``Toolbox`` so that utilities compute.
        from_evidence: whether annotated evidence may be used; False drafts every world from the question.
    """

    def __init__(
        self,
        maker: ToolMaker,
        drafter: FactDrafter | None,
        policy: Policy,
        tools: ToolSource,
        from_evidence: bool = True,
    ) -> None:
        self.policy, self.tools = policy, tools
        self.name = f"agents:{policy.name}"
        self.prompts: Mapping[str, str] = {**maker.prompts, **(drafter.prompts if drafter else {})}
        self._maker, self._drafter, self._from_evidence = maker, drafter, from_evidence
        self._toolmaking: Toolmaking | None = None

    @classmethod
    def on(
        cls,
        model: ChatModel | Mapping[Role, ChatModel],
        form: Form = Form.NATIVE,
        facts: bool = True,
        from_evidence: bool = True,
    ) -> AgentTeacher:
        """All four agents on one chat model, or each on its own.

        Args:
            model: who plays them.
            form: how the AutoAgent calls tools.
            facts: whether worlds get facts; without, the ToolActor says what its model knows.
            from_evidence: whether annotated evidence may be used for them.
        """
        of = model if isinstance(model, Mapping) else dict.fromkeys(Role, model)
        return cls(
            ToolMaker(of[Role.TOOLMAKER]),
            FactDrafter(of[Role.FACTDRAFTER]) if facts else None,
            AutoAgent(of[Role.AUTOAGENT], form),
            Toolbox(SimulatedTools(ToolActor(of[Role.TOOLACTOR]))),
            from_evidence,
        )

    def reuse_tools(self, folder: RunFolder) -> Toolmaking:
        """Reuse contracts from task to task of a run from now on.

        Args:
            folder: of the run, and started.

        Returns:
            What the tasks have to be passed through, and closed after the run.

        Raises:
            InputError: the disk refuses.
        """
        self._toolmaking = Toolmaking(folder, self._maker)
        return self._toolmaking

    async def prepare(self, task: Task, seed: int) -> tuple[tuple[ToolContract, ...], World]:
        """Make the toolset and draft the facts, at the same time.

        Raises:
            ModelError: one of the agents gave nothing usable.
        """
        if self._drafter is None:
            return await self._make(task, seed), World(task.id)
        # Both are waited for, so that no toolset is still being made when the next attempt begins.
        toolset, world = await asyncio.gather(
            self._make(task, seed), self._drafter.draft(task, self._from_evidence, seed), return_exceptions=True
        )
        if isinstance(toolset, BaseException):
            raise toolset
        if isinstance(world, BaseException):
            raise world
        return toolset, world

    async def _make(self, task: Task, seed: int) -> tuple[ToolContract, ...]:
        if self._toolmaking:
            return await self._toolmaking.make(task, seed)
        return (await self._maker.make(task.question, seed)).contracts
