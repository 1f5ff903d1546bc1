"""Tasks: questions about a universe with everything that is known about them.

Five kinds, 2 to 4 look-ups. A blind guess is worth nothing except where the answer is one of two (``chance``).
"""

from __future__ import annotations

import random
from collections.abc import Collection

from understudy.errors import InputError
from understudy.lab.documents import document
from understudy.lab.drawing import PlanDrawer, follow
from understudy.lab.parsing import parse
from understudy.lab.plans import Op, Path, Plan
from understudy.lab.questions import word
from understudy.lab.relations import ENTITY_TYPES, relations
from understudy.lab.universe import MONTHS, Universe
from understudy.scoring import normalize
from understudy.seed import derive_seed
from understudy.task import Evidence, Fact, Hop, Kind, Task

SHAPES: dict[Kind, tuple[int, ...]] = {
    Kind.BRIDGE: (2, 3, 4),
    Kind.COMPARISON: (2,),
    Kind.BRIDGE_COMPARISON: (4,),
    Kind.COMPOSITIONAL: (2, 3, 4),
    Kind.TEMPORAL: (2, 3, 4),
}
"""The numbers of look-ups that each kind comes with."""

ATTEMPTS = 2_000
"""Draws per task; a universe that gives none in as many has none."""

PATIENCE = 100
"""Questions in a row that were asked before, after which a universe counts as exhausted."""


def make_tasks(
    universe: Universe,
    n: int,
    seed: int,
    kinds: Collection[Kind] | None = None,
    hops: Collection[int] | None = None,
) -> list[Task]:
    """Make ``n`` tasks with different questions.

    Args:
        universe: what the questions are about.
        n: how many.
        seed: equal seeds give equal tasks; a longer list begins with the shorter one.
        kinds: which kinds to draw from, all by default.
        hops: which numbers of look-ups to draw from, all by default; one that is named twice is drawn twice as often.

    Raises:
        InputError: no kind has the wanted number of look-ups, or the universe is too small for ``n`` questions.
    """
    shapes = {
        kind: wanted
        for kind in (Kind if kinds is None else [kind for kind in Kind if kind in kinds])
        if (wanted := [count for count in (hops or SHAPES[kind]) if count in SHAPES[kind]])
    }
    if not shapes:
        raise InputError(f"no lab task has kinds={kinds}, hops={hops}; possible: {SHAPES}")
    tasks: dict[str, Task] = {}
    attempt = stale = 0
    while len(tasks) < n and stale < PATIENCE:
        identifier = f"lab-{universe.split}-{universe.seed}-{seed}-{attempt}"
        rng = random.Random(derive_seed(identifier))
        kind = rng.choice(list(shapes))
        task = _task(universe, kind, rng.choice(shapes[kind]), rng, identifier)
        stale = stale + 1 if task.question in tasks else 0
        tasks.setdefault(task.question, task)
        attempt += 1
    if len(tasks) < n:
        raise InputError(f"this universe gives only {len(tasks)} of {n} tasks; make it larger")
    return list(tasks.values())


def chance(task: Task) -> float:
    """Probability that a blind guess is right: 1/2 where the answer is one of two, else 0."""
    return 0.5 if task.kind in (Kind.COMPARISON, Kind.BRIDGE_COMPARISON) else 0.0


def _task(universe: Universe, kind: Kind, hops: int, rng: random.Random, identifier: str) -> Task:
    drawer = PlanDrawer(universe, kind, hops, rng)
    for _ in range(ATTEMPTS):
        start = rng.choice(ENTITY_TYPES)
        plan = drawer.draw(start)
        if plan is None:
            continue
        chains = [facts for path in plan.paths if (facts := follow(universe, path)) is not None]
        if len({fact for chain in chains for fact in chain}) < hops:
            continue  # a path breaks off, or both share a look-up
        question = word(plan, start, rng)
        answer = plan.conclude([chain[-1].object for chain in chains])
        if parse(question) != plan or (not plan.offers_answers and _mentions(question, answer)):
            continue  # a noun for two relations made another kind of question of it, or it answers itself
        return Task(
            id=identifier,
            question=question,
            answers=_answers(universe, plan, answer),
            kind=kind,
            hops=hops,
            evidence=_evidence(universe, [fact for chain in chains for fact in chain], rng),
            split=universe.split,
            source="lab",
        )
    raise InputError(f"this universe has no {kind} question of {hops} hops; make it larger")


def _answers(universe: Universe, plan: Plan, answer: str) -> tuple[str, ...]:
    end = relations()[plan.paths[0].relations[-1]]
    if plan.op in (Op.SUM, Op.DIFFERENCE):
        return answer, f"{answer} {end.unit or 'years'}"
    if plan.op is Op.VALUE and end.to == "quantity":
        return answer, f"{answer} {end.unit}"
    if plan.op is Op.VALUE and end.to == "date":
        day, month, year = answer.split()
        return answer, f"{month} {day}, {year}", f"{year}-{MONTHS.index(month) + 1:02}-{int(day):02}"
    if plan.op is Op.SAME or (end.to == "year" and plan.op is Op.VALUE):
        return (answer,)
    unique = [alias for alias in universe[answer].aliases if len(universe.find(alias)) == 1]
    return answer, *unique


def _evidence(universe: Universe, chain: list[Fact], rng: random.Random) -> Evidence:
    """The chain first, then everything else about its subjects: a wrong but sensible question has an answer."""
    subjects = [universe[name] for name in dict.fromkeys(fact.subject for fact in chain)]
    facts = dict.fromkeys([*chain, *(fact for entity in subjects for fact in entity.statements())])
    passages = [document(entity, universe.seed, supporting=True) for entity in subjects]
    for subject in subjects[:3]:
        other = rng.choice(universe.by_type[subject.type])
        if other not in subjects:
            passages.append(document(other, universe.seed))
    rng.shuffle(passages)
    hops = [
        Hop(
            question=word(Plan(Op.VALUE, (Path(fact.subject, (fact.relation,)),)), universe[fact.subject].type, rng),
            answer=fact.object,
            title=fact.subject,
        )
        for fact in chain
    ]
    return Evidence(facts=tuple(facts), passages=tuple(passages), hops=tuple(hops))


def _mentions(question: str, answer: str) -> bool:
    return f" {normalize(answer)} " in f" {normalize(question)} "
