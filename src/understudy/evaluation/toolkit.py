"""What the table ``tools`` of a configuration stands for: who answers calls, and what each question is offered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from understudy.agents.factdrafter import FactDrafter
from understudy.agents.toolactor import ToolActor
from understudy.agents.toolmaker import ToolMaker
from understudy.contract import ToolContract
from understudy.evaluation.controls import NoTools
from understudy.evaluation.settings import RetrieverKind, SearchSettings, SourceKind, ToolsetKind, ToolSettings
from understudy.llm.ledger import REQUESTS
from understudy.llm.models import Models
from understudy.llm.protocol import ChatModel, Role
from understudy.protocols import Prompted, ToolSource
from understudy.search.corpus import read_passages
from understudy.search.disk import DiskIndex
from understudy.search.memory import MemoryIndex
from understudy.search.retriever import Retriever
from understudy.search.server import RetrievalServer
from understudy.search.tools import SEARCH, SearchTools
from understudy.seed import derive_seed
from understudy.task import Task
from understudy.teachers import evidence
from understudy.tools.faults import FaultyTools
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox
from understudy.world import FactsFrom, World


class Toolkit:
    """Who answers calls, and who makes toolsets and worlds. Open one with ``open_toolkit``.

    Attributes:
        source: who answers calls.
        simulator: the ToolActor's chat model; None where no model plays.
        ledger: of what simulation costs; to be entered before the first request. None where no model plays, or
            nobody counts.
        prompts: SHA-256 by name, of all prompts that tools, toolsets and worlds are made with.
    """

    def __init__(self, settings: ToolSettings, seed: int, source: ToolSource, models: Models | None = None) -> None:
        self.source = FaultyTools(source, settings.faults, seed) if settings.faults else source
        self.simulator: ChatModel | None = models[Role.TOOLACTOR] if models else None
        self.ledger = models.ledger if models else None
        self._settings, self._seed = settings, seed
        makes, drafts = settings.toolset is ToolsetKind.GENERATED, settings.facts is not FactsFrom.NONE
        self._maker = ToolMaker(models[Role.TOOLMAKER]) if models and makes else None
        self._drafter = FactDrafter(models[Role.FACTDRAFTER]) if models and drafts else None
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


async def open_toolkit(settings: ToolSettings, seed: int, out: Path | None, open_things: AsyncExitStack) -> Toolkit:
    """Open what a configuration's tools need.

    Args:
        settings: the table ``tools``.
        seed: of the evaluation.
        out: the run's folder, for the ledger; None for no ledger.
        open_things: closes what has been opened.

    Raises:
        InputError: a key, a file of passages or an index is missing.
    """
    if settings.source is SourceKind.NONE:
        return Toolkit(settings, seed, NoTools())
    if settings.source is SourceKind.LIVE and settings.search:
        retriever = open_retriever(settings.search, open_things)
        return Toolkit(settings, seed, SearchTools(retriever, settings.search.top_k))
    if settings.toolset is ToolsetKind.EVIDENCE:
        return Toolkit(settings, seed, evidence.EvidenceTeacher().tools)
    assert settings.simulator  # noqa: S101 (the settings' own check)
    models = await open_things.enter_async_context(Models(settings.simulator, out / REQUESTS if out else None))
    return Toolkit(settings, seed, Toolbox(SimulatedTools(ToolActor(models[Role.TOOLACTOR]))), models)


def open_retriever(settings: SearchSettings, open_things: AsyncExitStack) -> Retriever:
    """Open whoever finds passages, and leave it to the stack to close.

    Raises:
        InputError: the passages or the index can't be read.
    """
    if settings.kind is RetrieverKind.HTTP:
        server = RetrievalServer(settings.url, settings.finds)
        open_things.push_async_callback(server.aclose)
        return server
    assert settings.path  # noqa: S101 (the settings' own check)
    if settings.kind is RetrieverKind.DISK:
        return DiskIndex.open(settings.path)
    return MemoryIndex.build(read_passages(settings.path))
