"""The FactDrafter: writes down, once per task, what is true in its world.

Facts come from annotated triples without a model, from annotated passages, or from the question alone. It never sees
an answer, so it can't build the world around one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from understudy.agents.ask import ask
from understudy.agents.prompt import load
from understudy.checks.contradiction import agree
from understudy.llm.protocol import ChatModel
from understudy.schema import violations
from understudy.scoring import normalize
from understudy.seed import derive_seed
from understudy.task import Fact, Passage, Task
from understudy.world import FactsFrom, World

MAX_PASSAGE_CHARACTERS = 4_000
MAX_PASSAGES_CHARACTERS = 24_000
_TEXT = {"type": "string", "minLength": 1, "maxLength": 300}
REPLY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "facts": {
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": {
                "type": "object",
                "properties": {"subject": _TEXT, "relation": _TEXT, "object": _TEXT},
                "required": ["subject", "relation", "object"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["facts"],
    "additionalProperties": False,
}
_FUNCTIONAL = re.compile(
    r"\b(date|year|born|birth|birthplace|died|death|age|father|mother|capital|population|area|height|length|elevation|"
    r"duration|number of|founded|released)\b"
)
"""Relations of which a subject has one object. Others ("director", "cast member") may well have several."""


class FactDrafter:
    """Drafts the facts of a task.

    Args:
        model: who drafts; not asked when a task has annotated facts.
        attempts: requests per task at most; each after the first is told what was wrong.
    """

    def __init__(self, model: ChatModel, attempts: int = 3) -> None:
        self.model = model
        self._attempts = attempts
        self._prompt = load("factdrafter")
        self.prompts: Mapping[str, str] = {self._prompt.name: self._prompt.sha256}

    async def draft(self, task: Task, from_evidence: bool = True, seed: int = 0) -> World:
        """The world of a task. ``facts_from`` is ``drafted`` when nothing annotated went into it.

        Args:
            task: only its question and evidence are used, never its answers.
            from_evidence: whether its evidence may be used.
            seed: what randomness derives from.

        Raises:
            ModelError: no attempt passed the checks.
        """
        if from_evidence and task.evidence.facts:
            return World(task.id, task.evidence.facts, FactsFrom.EVIDENCE)
        passages = _within_budget(task.evidence.passages) if from_evidence else []

        def check(value: Any) -> list[str]:
            return violations(REPLY, value) or _problems(_facts(value), task.question)

        drafted = await ask(
            self.model,
            self._prompt,
            {"question": task.question, "passages": passages},
            REPLY,
            check,
            self._attempts,
            derive_seed(seed, task.id),
        )
        return World(task.id, _facts(drafted), FactsFrom.EVIDENCE if passages else FactsFrom.DRAFTED)


def draft_conflicts(facts: Iterable[Fact]) -> list[str]:
    """Pairs of facts that can't both be true: one subject, one functional relation, two objects.

    Objects of which one only says more than the other ("1950", "May 1950") agree.
    """
    problems = []
    known: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        if not _FUNCTIONAL.search(fact.relation.lower().replace("_", " ")):
            continue
        first = known.setdefault((normalize(fact.subject), normalize(fact.relation.replace("_", " "))), fact)
        if not agree(first.object, fact.object):
            problems.append(
                f"contradiction: {fact.relation} of {fact.subject} is both {first.object!r} and {fact.object!r}"
            )
    return problems


def _problems(facts: Sequence[Fact], question: str) -> list[str]:
    asked = normalize(question)
    problems = [
        f"fact {index} repeats the question; state what is known about one entity"
        for index, fact in enumerate(facts)
        if asked in normalize(f"{fact.subject} {fact.relation}")
    ]
    return problems + draft_conflicts(facts)


def _facts(value: dict[str, Any]) -> list[Fact]:
    return [Fact(**{key: " ".join(text.split()) for key, text in fact.items()}) for fact in value["facts"]]


def _within_budget(passages: Sequence[Passage]) -> list[dict[str, str]]:
    """As many passages as fit, those that annotators needed first; the mark itself is not passed on."""
    chosen, left = [], MAX_PASSAGES_CHARACTERS
    for passage in sorted(passages, key=lambda passage: not passage.supporting):
        text = passage.text[: min(MAX_PASSAGE_CHARACTERS, left)]
        if not text:
            break
        chosen.append({"title": passage.title, "text": text})
        left -= len(text)
    return chosen
