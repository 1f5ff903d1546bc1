"""Plans: what a question of the lab means.

A path starts from a name and follows relations one after the other; a plan does something with one or two paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from understudy.scoring import normalize
from understudy.task import Kind


class Op(StrEnum):
    """What is done with the values at the ends of the paths."""

    VALUE = "value"
    LESS = "less"
    MORE = "more"
    SAME = "same"
    DIFFERENCE = "difference"
    SUM = "sum"


@dataclass(frozen=True)
class Path:
    """Relations to follow from a named start, the first first."""

    start: str
    relations: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A question's meaning. ``composed`` says that its wording has compound nouns."""

    op: Op
    paths: tuple[Path, ...]
    composed: bool = False

    @property
    def hops(self) -> int:
        """Look-ups needed."""
        return sum(len(path.relations) for path in self.paths)

    @property
    def kind(self) -> Kind:
        """The task class of the question."""
        if self.op in (Op.DIFFERENCE, Op.SUM):
            return Kind.TEMPORAL
        if self.op is not Op.VALUE:
            return Kind.COMPARISON if self.hops == 2 else Kind.BRIDGE_COMPARISON
        return Kind.COMPOSITIONAL if self.composed else Kind.BRIDGE

    @property
    def relations(self) -> tuple[str, ...]:
        """The distinct relations in the order in which they are needed."""
        return tuple(dict.fromkeys(name for path in self.paths for name in path.relations))

    @property
    def offers_answers(self) -> bool:
        """Whether the answer is one of two that the question itself offers."""
        return self.op in (Op.LESS, Op.MORE, Op.SAME)

    def conclude(self, ends: Sequence[str]) -> str:
        """The answer, when the paths end in these values."""
        if self.op is Op.VALUE:
            return ends[0]
        if self.op is Op.SAME:
            return "yes" if normalize(ends[0]) == normalize(ends[1]) else "no"
        first, second = (int(end.replace(",", "")) for end in ends)
        if self.op is Op.SUM:
            return str(first + second)
        if self.op is Op.DIFFERENCE:
            return str(abs(first - second))
        return self.paths[0 if (first < second) == (self.op is Op.LESS) else 1].start
