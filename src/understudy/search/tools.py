"""Search as a tool: one contract, whether passages are found or a model writes them.

A policy trained on the simulated search is switched to the live one by changing the tool source alone.
"""

from __future__ import annotations

from understudy.contract import ToolContract
from understudy.errors import ToolError
from understudy.search.retriever import DEFAULT_K, Retriever
from understudy.trace import Call, Observation, Source
from understudy.world import World

MAX_TEXT_CHARS = 4_000
"""Characters of a passage that a policy sees; of the shared 14,248 passages, fewer than 1 in 500 have more."""

_TEXT = {"type": "string"}
SEARCH = ToolContract(
    name="search",
    description="Search an encyclopedia in plain words. Returns the passages that match best, best first.",
    parameters={
        "type": "object",
        "properties": {"query": {"type": "string", "description": "What to look for.", "maxLength": 1000}},
        "required": ["query"],
        "additionalProperties": False,
    },
    returns={
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"title": _TEXT, "text": _TEXT},
                    "required": ["title", "text"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["results"],
        "additionalProperties": False,
    },
)


class SearchTools:
    """A ``ToolSource`` that answers ``SEARCH`` from a retriever.

    Args:
        retriever: who finds passages.
        top_k: passages per search.
    """

    def __init__(self, retriever: Retriever, top_k: int = DEFAULT_K) -> None:
        self._retriever = retriever
        self._top_k = top_k
        self.name = f"live:{retriever.name}:top{top_k}"

    def source_of(self, contract: ToolContract) -> Source:
        """Always live."""
        return Source.LIVE

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        """Search. The world is not used: what is true stands in the passages.

        Raises:
            ToolError: the contract is not ``SEARCH``.
            SimulatorError: the retriever fails. The rollout ends under that name, so that a server that is down is
                not measured as a weak policy.
        """
        if contract.name != SEARCH.name:
            raise ToolError(f"no live tool {contract.name!r}")
        (hits,) = await self._retriever.search([call.arguments["query"]], self._top_k)
        passages = [hit.passage for hit in hits]
        results = [{"title": passage.title, "text": passage.text[:MAX_TEXT_CHARS]} for passage in passages]
        return Observation(call_id=call.id, name=call.name, content={"results": results}, source=Source.LIVE)
