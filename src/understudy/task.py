"""A task: one question, the answers that count as right, and what is known to be true about it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from understudy.noun import Noun


class Kind(StrEnum):
    """Task classes of the four benchmarks; the ToolMaker classifies into these."""

    BRIDGE = "bridge"
    COMPARISON = "comparison"
    BRIDGE_COMPARISON = "bridge_comparison"
    COMPOSITIONAL = "compositional"
    TEMPORAL = "temporal"


class Fact(Noun):
    """One statement: ``relation`` of ``subject`` is ``object``. Values are text, as they appear in sources."""

    subject: str
    relation: str
    object: str


class Passage(Noun):
    """A document; the text is empty where a set tells titles only. ``supporting``: annotators needed it to answer."""

    title: str
    text: str
    supporting: bool = False


class Hop(Noun):
    """One step of an annotated decomposition: a sub-question, its answer, and the passage title that supports it."""

    question: str
    answer: str
    title: str = ""


class Evidence(Noun):
    """What annotators recorded about a task. Never shown to a policy; a simulator sees facts drawn from it."""

    passages: tuple[Passage, ...] = ()
    facts: tuple[Fact, ...] = ()
    hops: tuple[Hop, ...] = ()


class Task(Noun):
    """A question with accepted answers (the first is the official one)."""

    id: str
    question: str = Field(min_length=1)
    answers: tuple[str, ...] = Field(min_length=1)
    kind: Kind | None = None
    hops: int | None = None
    evidence: Evidence = Evidence()
    split: str = ""
    source: str = ""
