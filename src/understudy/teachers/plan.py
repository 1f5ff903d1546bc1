"""What annotations say about one task: the look-ups, in order, and how the answer follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from understudy.task import Fact
from understudy.teachers.relations import Relation


@dataclass(frozen=True, slots=True)
class Lookup:
    """One look-up.

    Attributes:
        relation: what is looked up.
        subject: for what, as the policy can know it: in the question's spelling, or as an earlier look-up said. The
            topic of an open question; empty when it names none.
        objects: what is found; several when annotations have several values.
        question: the open question; empty for a relation.
        aliases: other names of the subject in the annotations.
        after: positions of the look-ups whose results this one needs.
    """

    relation: Relation
    subject: str
    objects: tuple[str, ...]
    question: str = ""
    aliases: tuple[str, ...] = ()
    after: tuple[int, ...] = ()

    def arguments(self) -> dict[str, str]:
        """The arguments of its call."""
        if not self.relation.open:
            return {self.relation.of: self.subject}
        return {"question": self.question} | ({"about": self.subject} if self.subject else {})

    def facts(self) -> list[Fact]:
        """What it shows to be true, said of the subject under each of its names."""
        relation = self.question or self.relation.name
        names = dict.fromkeys((self.subject or self.question, *self.aliases))
        return [Fact(subject=name, relation=relation, object=value) for name in names for value in self.objects]

    @property
    def found(self) -> str:
        """The result as one text."""
        return "; ".join(self.objects)


class Step(StrEnum):
    """How the answer follows from what was found."""

    READ = "read"
    EARLIEST = "earliest"
    LATEST = "latest"
    LONGEST = "longest"
    SHORTEST = "shortest"
    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Option:
    """One side of a comparison: how it is called, and the look-ups whose results are its values."""

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one task is solved by look-ups.

    Attributes:
        task_id: of which task.
        lookups: in an order in which each comes after those it needs.
        step: how the answer follows.
        options: what is compared; empty when the answer is just read.
        answer: the final answer.
    """

    task_id: str
    lookups: tuple[Lookup, ...]
    step: Step
    options: tuple[Option, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Unplannable:
    """Why annotations don't lead from the question to the answer."""

    reason: str
