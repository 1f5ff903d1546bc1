"""Live tools: a universe behind typed look-ups and a search, really executed.

Their catalogue is fixed and was written without the ToolMaker's: other names, and other results. Real tools have extra
fields, give several hits, answer in prose, accept other spellings, and miss. A miss is a ``ToolError``.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from understudy.contract import ToolContract
from understudy.errors import InputError, ToolError
from understudy.lab.documents import document, sentence, sentences
from understudy.lab.lexicon import words
from understudy.lab.offering import relations_to_offer, utilities_to_offer
from understudy.lab.parsing import parse
from understudy.lab.relations import NUMERIC, Relation, relations
from understudy.lab.universe import Entity, Universe
from understudy.seed import derive_seed
from understudy.task import Passage, Task
from understudy.tools.utilities import UTILITIES
from understudy.trace import Call, Observation, Source
from understudy.world import World

MAX_HITS = 3
SNIPPET_SENTENCES = 2
STEM = 5
"""Letters that two words have to share at their beginning to count as one: "director" and "directed" do."""
SHORT = 2
"""Words of so few letters ("of") tell nothing."""

_TEXT = {"type": "string"}
_OPEN = {"type": "object", "additionalProperties": True}

SEARCH = ToolContract(
    name="search_documents",
    description="Full-text search over all documents. Returns titles and snippets, best first.",
    parameters={"type": "object", "properties": {"query": _TEXT}, "required": ["query"]},
    returns={"type": "object", "properties": {"results": {"type": "array", "items": _OPEN}}, "required": ["results"]},
)


@cache
def catalogue() -> dict[str, tuple[ToolContract, Relation]]:
    """The typed look-ups by name, each with the relation that it serves."""
    entries = {}
    for relation in relations().values():
        name, parameter, shape = relation.live
        kinds = " or ".join(relation.of)
        contract = ToolContract(
            name=name,
            description=f"Reference data on a {kinds}: {relation.noun}.",
            parameters={"type": "object", "properties": {parameter: _TEXT}, "required": [parameter]},
            returns=_returns(relation, shape),
        )
        entries[name] = (contract, relation)
    return entries


def _returns(relation: Relation, shape: str) -> dict[str, Any]:
    value = {"type": "integer"} if relation.to in NUMERIC else _TEXT
    key = field_of(relation)
    if shape == "prose":
        return {"type": "object", "properties": {"title": _TEXT, "extract": _TEXT}, "required": ["title", "extract"]}
    record = {"type": "object", "properties": {"name": _TEXT, key: value}, "required": ["name", key]}
    if shape == "record":
        return record
    return {"type": "object", "properties": {"hits": {"type": "array", "items": record}}, "required": ["hits"]}


def field_of(relation: Relation) -> str:
    """The key under which live results hold a relation's value."""
    return relation.noun.replace(" ", "_").replace("-", "_")


class LiveTools:
    """A ``ToolSource`` that looks things up in a universe. Utilities run in the ``Toolbox`` around it.

    Args:
        universe: what is looked up.
    """

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.name = f"live:lab-{universe.split}-{universe.seed}"
        self._sharing: dict[str, list[Entity]] = {}
        for entity in universe.entities:
            for word in words(entity.name):
                self._sharing.setdefault(word, []).append(entity)
        self._index: _Index | None = None

    def toolset(self, task: Task, seed: int, search: bool = False) -> tuple[ToolContract, ...]:
        """Contracts to offer for a lab task: its look-ups, distractors, the utilities it needs, in seeded order.

        Args:
            task: of the lab.
            seed: chooses distractors and order.
            search: whether to offer the full-text search too.

        Raises:
            InputError: the question is not one of the lab's.
        """
        plan = parse(task.question)
        if plan is None:
            raise InputError(f"task {task.id}: not a question of the lab: {task.question[:80]!r}")
        rng = random.Random(derive_seed("live-toolset", seed, task.question))
        contracts = [catalogue()[relation.live[0]][0] for relation in relations_to_offer(plan, rng)]
        contracts += [UTILITIES[name].contract for name in utilities_to_offer(plan)]
        rng.shuffle(contracts)
        return (*contracts, SEARCH) if search else tuple(contracts)

    def source_of(self, contract: ToolContract) -> Source:
        """Always live."""
        return Source.LIVE

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        """Look it up. The task's world is not used: live tools know the universe.

        Raises:
            ToolError: there is no such tool, nothing is found, or the name is not unique.
        """
        value = next(iter(call.arguments.values()), "")
        asked = value if isinstance(value, str) else str(value)
        if contract.name == SEARCH.name:
            content = self.search(asked)
        elif contract.name in catalogue():
            content = self.look_up(catalogue()[contract.name][1], asked)
        else:
            raise ToolError(f"no live tool {contract.name!r}")
        return Observation(call_id=call.id, name=call.name, content=content, source=Source.LIVE)

    def look_up(self, relation: Relation, name: str) -> dict[str, Any]:
        """The result of a typed look-up, in the shape of its tool.

        Raises:
            ToolError: nothing is found, or the name is not unique.
        """
        found = [entity for entity in self.universe.find(name) if entity.type in relation.of]
        found = [entity for entity in found if entity.name.casefold() == name.casefold()] or found
        known = [entity for entity in found if relation.name in entity.facts]
        if not found:
            raise ToolError(f"no match for {name[:80]!r}")
        if not known:
            raise ToolError(f"{relation.noun} of {name[:80]!r} is not recorded")
        shape = relation.live[2]
        if shape == "hits":
            near = known + self._near(known[0], relation)
            return {"total": len(near), "hits": [_record(entity, relation) for entity in near[:MAX_HITS]]}
        if len(known) > 1:
            raise ToolError(f"{name[:80]!r} can be {' or '.join(entity.name for entity in known[:MAX_HITS])}")
        if shape == "prose":
            extract = sentence(known[0].name, relation.name, known[0].facts[relation.name])
            return {"title": known[0].name, "extract": extract}
        related = [entity.id for entity in self._near(known[0], relation)]
        return {"id": known[0].id, "type": known[0].type, **_record(known[0], relation), "see_also": related}

    def search(self, query: str) -> dict[str, Any]:
        """The three best documents for a query, as title and snippet.

        Raises:
            ToolError: no document has a word of the query.
        """
        if self._index is None:
            self._index = _Index(self.universe)
        results = self._index.search(query)
        if not results:
            raise ToolError(f"no document matches {query[:80]!r}")
        return {"results": results}

    def _near(self, entity: Entity, relation: Relation) -> list[Entity]:
        """At most one other entity that shares a word of the name and has the relation."""
        for word in words(entity.name):
            for other in self._sharing[word]:
                if other is not entity and relation.name in other.facts:
                    return [other]
        return []


class _Index:
    """BM25 over the documents of a universe."""

    def __init__(self, universe: Universe) -> None:
        import bm25s  # takes a moment to import, and only searches need it

        self._passages = [document(entity, universe.seed) for entity in universe.entities]
        self._bm25s = bm25s
        self._retriever = bm25s.BM25()
        self._retriever.index(self._tokens([passage.text for passage in self._passages]), show_progress=False)

    def _tokens(self, texts: list[str]) -> Any:
        return self._bm25s.tokenize(texts, stopwords="en", show_progress=False)

    def search(self, query: str) -> list[dict[str, str]]:
        tokens = self._tokens([query[:1000]])
        if not tokens.vocab:
            return []
        rows, scores = self._retriever.retrieve(tokens, k=MAX_HITS, show_progress=False)
        return [
            {"title": self._passages[row].title, "snippet": _snippet(self._passages[row], query)}
            for row, score in zip(rows[0], scores[0], strict=True)
            if score > 0
        ]


def _record(entity: Entity, relation: Relation) -> dict[str, Any]:
    value = entity.facts[relation.name]
    record: dict[str, Any] = {"name": entity.name, field_of(relation): value}
    if relation.to in NUMERIC:
        record[field_of(relation)] = int(value)
    return {**record, "unit": relation.unit} if relation.unit else record


def _snippet(passage: Passage, query: str) -> str:
    """The sentences that share most word beginnings with the query beyond the title, in the order of the text."""
    parts = sentences(passage.text)
    wanted = {word[:STEM] for word in set(words(query)) - set(words(passage.title)) if len(word) > SHORT}
    shared = [-len(wanted & {word[:STEM] for word in words(part)}) for part in parts]
    best = sorted(sorted(range(len(parts)), key=shared.__getitem__)[:SNIPPET_SENTENCES])
    return " ".join(f"{parts[index]}." for index in best)
