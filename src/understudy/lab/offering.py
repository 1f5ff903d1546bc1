"""What to offer for a question: the relations it needs, sensible ones that it does not need, and the utilities."""

from __future__ import annotations

import random

from understudy.lab.plans import Op, Plan
from understudy.lab.relations import ENTITY_TYPES, Relation, relations, relations_of

FEWEST, MOST = 3, 6


def relations_to_offer(plan: Plan, rng: random.Random) -> list[Relation]:
    """The plan's relations first, then distractors about the same types; 3 to 6 in all.

    The first distractor is about what the question begins with: a tool that could be asked at once and needn't be.
    """
    needed = [relations()[name] for name in plan.relations]
    kinds = [kind for kind in ENTITY_TYPES if any(kind in relation.of for relation in needed)]
    others = [other for kind in kinds for other in relations_of(kind) if other not in needed]
    spare = rng.sample(others, len(others))
    near = [other for other in spare if set(other.of) & set(needed[0].of)]
    spare = list(dict.fromkeys([*near[:1], *spare]))
    count = min(MOST, max(FEWEST, len(needed) + 1) + (rng.random() < 0.3))
    return needed + spare[: count - len(needed)]


def utilities_to_offer(plan: Plan) -> list[str]:
    """Names of the utilities that decide the plan."""
    return [] if plan.op in (Op.VALUE, Op.SAME) else ["calculator"]
