"""The evidence teacher: complete traces for real questions from what annotators recorded, without any model.

``plan`` reads a task's annotations. ``EvidenceTeacher.prepare`` gives the toolset and the world, ``EvidencePolicy``
carries the plan out, ``EvidenceTools`` answers from the world's facts. Both run through ``rollout()`` like all others.
An observation is a pure function of the world, the contract and the arguments; what no fact says is a tool error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from understudy.checks.text import words
from understudy.contract import ToolContract
from understudy.errors import ModelError, ToolError, UnderstudyError
from understudy.protocols import Sample
from understudy.task import Fact, Task
from understudy.teachers.decomposition import plan_hops
from understudy.teachers.plan import Plan, Unplannable
from understudy.teachers.relations import identifier, open_relation
from understudy.teachers.script import Act, write_script
from understudy.teachers.toolset import evidence_toolset, result_key
from understudy.teachers.triples import plan_triples
from understudy.tools.toolbox import Toolbox
from understudy.trace import RESERVED, Call, Observation, Source, Status, Tokens
from understudy.world import FactsFrom, World


class UnplannableError(UnderstudyError):
    """A task's annotations don't lead from its question to its answer."""


def plan(task: Task) -> Plan | Unplannable:
    """How a task is solved by look-ups, as its triples or its decomposition say; or why they don't say it."""
    evidence = task.evidence
    if not (evidence.facts or evidence.hops):
        return Unplannable("no triples and no decomposition")
    made = plan_triples(task) if evidence.facts else plan_hops(task)
    if isinstance(made, Plan):
        texts = [made.answer, *(text for lookup in made.lookups for text in (lookup.subject, *lookup.objects))]
        if any(tag in text for text in texts if "<" in text for tag in RESERVED):
            return Unplannable("the annotations hold a reserved tag")
    return made


def evidence_world(made: Plan) -> World:
    """The world in which the plan's look-ups are true."""
    return World(made.task_id, (fact for lookup in made.lookups for fact in lookup.facts()), FactsFrom.EVIDENCE)


def prepare(task: Task, seed: int) -> tuple[tuple[ToolContract, ...], World]:
    """The toolset and the world of a task.

    Raises:
        UnplannableError: the annotations don't lead to the answer.
    """
    made = _planned(task)
    return evidence_toolset(made, seed), evidence_world(made)


class EvidencePolicy:
    """Carries out the plan that a task's annotations describe. It sees the annotations, so it is for synthesis only.

    Args:
        detours: probability that a rollout starts one look-up with a needless call that finds nothing, and recovers.
            Traces without any failure teach no recovery.
    """

    name = "evidence"

    def __init__(self, detours: float = 0.1) -> None:
        self._detours = detours

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> EvidenceSession:
        """Start a rollout.

        Raises:
            UnplannableError: the annotations don't lead to the answer.
            ModelError: the toolset lacks a tool that the plan needs.
        """
        return EvidenceSession(write_script(_planned(task), toolset, seed, self._detours))


class EvidenceSession:
    """One rollout of the policy: its script, and a check that the tools said what it relies on."""

    def __init__(self, script: Sequence[Act]) -> None:
        self._script = script
        self._next = 0

    async def step(self, observations: Sequence[Observation]) -> Sample:
        """The next turn.

        Raises:
            ModelError: a tool failed that the script needs; the annotations say nothing about other ways.
        """
        for observation in observations:
            if observation.status is not Status.OK and not self._script[self._next - 1].misses:
                raise ModelError(f"{observation.name} gave no result that the annotations could go on from")
        act = self._script[self._next]
        self._next += 1
        return Sample(act.turn)

    def tokens(self) -> Tokens | None:
        """None: nothing was sampled."""
        return None

    def close(self) -> None:
        """Nothing is held."""


class EvidenceTools:
    """Answers look-ups from a world's facts.

    A relation's tool answers for a subject under any of its names; an open tool answers the question that shares most
    words with the one asked, if that is more than half of all words of the two.
    """

    name = "evidence"

    def source_of(self, contract: ToolContract) -> Source:
        """``simulated``."""
        return Source.SIMULATED

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        """Word the facts that the call asks for.

        Raises:
            ToolError: no fact says it.
        """
        key = result_key(contract)
        given = {name: value for name, value in call.arguments.items() if isinstance(value, str)}
        facts = _answering(given["question"], key, world) if "question" in given else _stating(given, key, world)
        if not facts:
            what = " ".join(given.values()).strip() or "nothing"
            raise ToolError(f"no record of {key.replace('_', ' ') or 'this'} for {what[:200]!r}")
        echoed = {name: value for name, value in given.items() if name in contract.returns["properties"]}
        found = "; ".join(dict.fromkeys(fact.object for fact in facts))
        return Observation(
            call_id=call.id, name=call.name, content=echoed | {key: found}, source=self.source_of(contract)
        )


class EvidenceTeacher:
    """What synthesis needs of the evidence teacher.

    Args:
        detours: see ``EvidencePolicy``.
    """

    name = "evidence"
    prompts: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detours: float = 0.1) -> None:
        self.policy = EvidencePolicy(detours)
        self.tools = Toolbox(EvidenceTools())

    async def prepare(self, task: Task, seed: int) -> tuple[tuple[ToolContract, ...], World]:
        """As the module's ``prepare``."""
        return prepare(task, seed)


def _planned(task: Task) -> Plan:
    made = plan(task)
    if isinstance(made, Unplannable):
        raise UnplannableError(f"task {task.id}: {made.reason}")
    return made


def _stating(given: Mapping[str, str], key: str, world: World) -> list[Fact]:
    known = (fact for name in given.values() for fact in world.about(name))
    subjects = {tuple(words(name)) for name in given.values()}
    return [fact for fact in known if identifier(fact.relation) == key and tuple(words(fact.subject)) in subjects]


def _answering(question: str, key: str, world: World) -> list[Fact]:
    asked = set(words(question))
    best, shared = "", 0.5
    for fact in world.facts:
        if fact.relation.endswith("?") and open_relation(fact.relation).name == key:
            known = set(words(fact.relation))
            overlap = len(asked & known) / max(1, len(asked | known))
            if overlap > shared:
                best, shared = fact.relation, overlap
    return [fact for fact in world.facts if fact.relation == best]
