"""What the table ``tools`` of a configuration stands for: who answers calls, and what each question is offered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from understudy.agents.factdrafter import FactDrafter
from understudy.agents.toolactor import ToolActor
from understudy.agents.toolmaker import ToolMaker
from understudy.contract import ToolContract
from understudy.evaluation.controls import NoTools
from understudy.evaluation.settings import RetrieverKind, SearchSettings, SourceKind, ToolsetKind, ToolSettings
from understudy.llm.endpoint import Endpoint
from understudy.llm.protocol import ChatModel
from understudy.protocols import Prompted, ToolSource
from understudy.search.corpus import read_passages
from understudy.search.disk import DiskIndex
from understudy.search.memory import MemoryIndex
from understudy.search.retriever import Retriever
from understudy.search.tools import SEARCH, SearchTools
from understudy.seed import derive_seed
from understudy.task import Task
from understudy.teachers import evidence
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox
from understudy.world import FactsFrom, World


class Toolkit:
    """Who answers calls, and who makes toolsets and worlds. Open one with ``open_toolkit``.

    Attributes:
        source: who answers calls.
        simulator: the chat model of ToolMaker, FactDrafter and ToolActor; None where no model plays.
        prompts: SHA-256 by name, of all prompts that tools, toolsets and worlds are made with.
    """

    def __init__(self, settings: ToolSettings, seed: int, source: ToolSource, simulator: ChatModel | None) -> None:
        self.source, self.simulator = source, simulator
        self._settings, self._seed = settings, seed
        self._maker = ToolMaker(simulator) if simulator and settings.toolset is ToolsetKind.GENERATED else None
        self._drafter = FactDrafter(simulator) if simulator and settings.facts is not FactsFrom.NONE else None
        made_with = (source, self._maker, self._drafter)
        self.prompts: Mapping[str, str] = {
            name: sha for part in made_with if isinstance(part, Prompted) for name, sha in part.prompts.items()
        }

    async def prepare(self, task: Task) -> tuple[tuple[ToolContract, ...], World]:
        """The contracts offered for a task, and its world.

        Raises:
            UnderstudyError: there is no usable toolset or world.
        """
        settings, seed = self._settings, derive_seed(self._seed, task.id)
        if settings.source is SourceKind.NONE:
            return (), World(task.id)
        if settings.toolset is ToolsetKind.EVIDENCE:
            return evidence.prepare(task, seed)
        toolset = (await self._maker.make(task.question, seed)).contracts if self._maker else (SEARCH,)
        if self._drafter is None:
            return toolset, World(task.id)
        return toolset, await self._drafter.draft(task, settings.facts is FactsFrom.EVIDENCE, seed)


async def open_toolkit(settings: ToolSettings, seed: int, open_things: AsyncExitStack) -> Toolkit:
    """Open what a configuration's tools need.

    Args:
        settings: the table ``tools``.
        seed: of the evaluation.
        open_things: closes what has been opened.

    Raises:
        InputError: a key, a file of passages or an index is missing.
    """
    if settings.source is SourceKind.NONE:
        return Toolkit(settings, seed, NoTools(), None)
    if settings.source is SourceKind.LIVE and settings.search:
        return Toolkit(settings, seed, SearchTools(open_retriever(settings.search), settings.search.top_k), None)
    if settings.toolset is ToolsetKind.EVIDENCE:
        return Toolkit(settings, seed, evidence.EvidenceTeacher().tools, None)
    assert settings.simulator  # noqa: S101 (the settings' own check)
    model = await open_things.enter_async_context(Endpoint(settings.simulator))
    return Toolkit(settings, seed, Toolbox(SimulatedTools(ToolActor(model))), model)


def open_retriever(settings: SearchSettings) -> Retriever:
    """Open whoever finds passages.

    Raises:
        InputError: the passages or the index can't be read.
    """
    assert settings.path  # noqa: S101 (the settings' own check)
    if settings.kind is RetrieverKind.DISK:
        return DiskIndex.open(settings.path)
    return MemoryIndex.build(read_passages(settings.path))
