"""Plans drawn at random among those that a universe can answer."""

from __future__ import annotations

import random

from understudy.lab.plans import Op, Path, Plan
from understudy.lab.relations import NUMERIC, VALUES, Relation, compounds, relations
from understudy.lab.universe import Entity, Universe
from understudy.task import Fact, Kind

YES_NO_SHARE = 0.25
"""Of the comparisons, how many are yes/no questions; half of these are answered with yes. In HotpotQA it is about 0.3,
in 2WikiMultiHopQA 0.4."""


def follow(universe: Universe, path: Path) -> list[Fact] | None:
    """The facts along a path; None where it breaks off or comes back to where it was."""
    facts: list[Fact] = []
    seen, here = {path.start}, path.start
    for name in path.relations:
        value = universe.value(here, name)
        if value is None or value in seen:
            return None
        facts.append(Fact(subject=here, relation=name, object=value))
        seen.add(value)
        here = value
    return facts


class PlanDrawer:
    """Draws the plan of one task. It remembers what it decided, so draw until a plan comes.

    Args:
        universe: what plans are about.
        kind: the task class.
        hops: look-ups needed.
        rng: of everything that is drawn.
    """

    def __init__(self, universe: Universe, kind: Kind, hops: int, rng: random.Random) -> None:
        self._universe, self._kind, self._hops, self._rng = universe, kind, hops, rng
        # Decided once: were it drawn anew with each try, the answers that are hard to draw would be rare.
        self._yes_no = rng.random() < YES_NO_SHARE
        self._yes = rng.random() < 0.5

    def draw(self, start: str) -> Plan | None:
        """A plan whose paths start from entities of this type; None if the universe had none this time."""
        if self._kind is Kind.BRIDGE:
            path = self._walk(self._entity(start), self._hops)
            return Plan(Op.VALUE, (path,)) if path else None
        if self._kind is Kind.COMPOSITIONAL:
            path = self._walk(self._entity(start), self._hops, within=self._rng.choice(list(compounds().values())))
            return Plan(Op.VALUE, (path,), composed=True) if path else None
        if self._kind is Kind.TEMPORAL:
            return self._arithmetic(start)
        return self._same(start) if self._yes_no else self._choice(start)

    def _entity(self, kind: str) -> Entity:
        return self._rng.choice(self._universe.by_type[kind])

    def _walk(
        self, entity: Entity, hops: int, within: tuple[str, ...] = (), end: Relation | None = None
    ) -> Path | None:
        """A random path from an entity, through the relations ``within`` in a row, ending in ``end`` where given."""
        names: list[str] = []
        here: Entity | None = entity
        at = self._rng.randint(0, hops - len(within))
        while len(names) < hops:
            if here is None:
                return None
            last = len(names) + 1 == hops
            if within and len(names) == at:
                chosen = within
            elif last and end is not None:
                chosen = (end.name,)
            else:
                inner = [name for name in here.facts if last or relations()[name].to not in VALUES]
                if not inner:
                    return None
                chosen = (self._rng.choice(inner),)
            for name in chosen:
                value = here.facts.get(name) if here is not None else None
                if value is None:
                    return None
                names.append(name)
                here = None if relations()[name].to in VALUES else self._universe[value]
        return Path(entity.name, tuple(names))

    def _arithmetic(self, start: str) -> Plan | None:
        """Two numbers of one measure: years of any kind, or the same quantity."""
        end = self._rng.choice([relation for relation in relations().values() if relation.to in NUMERIC])
        ends = [other for other in relations().values() if other.to == "year"] if end.to == "year" else [end]
        first = self._walk(self._entity(start), self._hops - self._hops // 2, end=end)
        second = self._walk(self._entity(start), self._hops // 2, end=self._rng.choice(ends))
        if first is None or second is None or first == second:
            return None
        op = Op.SUM if end.to == "quantity" and self._rng.random() < 0.5 else Op.DIFFERENCE
        return Plan(op, tuple(self._rng.sample((first, second), 2)))

    def _choice(self, start: str) -> Plan | None:
        """Which of two entities comes first by a number at the end of equal paths."""
        end = self._rng.choice([relation for relation in relations().values() if relation.to in NUMERIC])
        return self._pair(start, end, alike=False, op=self._rng.choice((Op.LESS, Op.MORE)))

    def _same(self, start: str) -> Plan | None:
        """Whether equal paths from two entities end in the same place."""
        end = self._rng.choice([relation for relation in relations().values() if relation.to not in VALUES])
        return self._pair(start, end, alike=self._yes, op=Op.SAME)

    def _pair(self, start: str, end: Relation, alike: bool, op: Op) -> Plan | None:
        first = self._walk(self._entity(start), self._hops // 2, end=end)
        facts = first and follow(self._universe, first)
        if first is None or not facts:
            return None
        if alike:
            others = [
                entity.name
                for entity in self._universe.by_type[start]
                if (ended := follow(self._universe, Path(entity.name, first.relations)))
                and ended[-1].object == facts[-1].object
            ]
            second = Path(self._rng.choice(others), first.relations)
        else:
            second = Path(self._entity(start).name, first.relations)
        compared = follow(self._universe, second)
        if not compared or first == second or (facts[-1].object == compared[-1].object) is not alike:
            return None
        return Plan(op, (first, second))
