"""Where wrong answers come from, read off trace and task in code: for each, the one mistake that decided it.

First, how the rollout ended. If it ended in an answer: did the policy get to see all that the answer follows from? If
so, the answer itself went wrong; if not, the search did. What is needed is what the task's annotated hops found, or
else its evidence facts say; without either, the answer itself must have been observed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import islice

from understudy.checks.grounding import CLOSED, grounding
from understudy.checks.text import Seen, texts
from understudy.errors import InputError
from understudy.evaluation.result import Result
from understudy.scoring import normalize
from understudy.task import Task
from understudy.trace import Call, Observation, Source, Status, Stop, Trace

NEAR = 0.75
"""Similarity of normal forms (difflib's ratio) from which a text counts as a miscopied other."""
_MAX_VALUES, _MAX_LENGTH = 200, 200  # observed values that an answer is compared with, and their length


class Mistake(StrEnum):
    """What decided a wrong answer."""

    SIMULATOR_FAILURE = "simulator_failure"
    POLICY_ERROR = "policy_error"
    MALFORMED = "malformed"
    NO_ANSWER = "no_answer"
    INVALID_CALL = "invalid_call"
    ARGUMENT_MISCOPIED = "argument_miscopied"
    MISS_NOT_RECOVERED = "miss_not_recovered"
    GUESSED = "guessed"
    WRONG_TOOL = "wrong_tool"
    STOPPED_EARLY = "stopped_early"
    ANSWER_MISCOPIED = "answer_miscopied"
    WRONG_VALUE = "wrong_value"
    INVENTED = "invented"


MEANING = {
    Mistake.SIMULATOR_FAILURE: "a simulated tool failed, not the policy",
    Mistake.POLICY_ERROR: "the model behind the policy failed",
    Mistake.MALFORMED: "turns that break the grammar",
    Mistake.NO_ANSWER: "a limit came before the answer",
    Mistake.INVALID_CALL: "the last call broke its contract",
    Mistake.ARGUMENT_MISCOPIED: "an argument that nothing had said",
    Mistake.MISS_NOT_RECOVERED: "the last look-up found nothing",
    Mistake.GUESSED: "answered without any look-up",
    Mistake.WRONG_TOOL: "asked a tool that could not know",
    Mistake.STOPPED_EARLY: "answered before the last look-up",
    Mistake.ANSWER_MISCOPIED: "nearly an observed value",
    Mistake.WRONG_VALUE: "all observed, another value chosen",
    Mistake.INVENTED: "all observed, the answer is none of it",
}

_BY_STOP = {
    Stop.SIMULATOR_FAILURE: Mistake.SIMULATOR_FAILURE,
    Stop.POLICY_ERROR: Mistake.POLICY_ERROR,
    Stop.MALFORMED: Mistake.MALFORMED,
    Stop.MAX_TURNS: Mistake.NO_ANSWER,
    Stop.MAX_TOKENS: Mistake.NO_ANSWER,
    Stop.TIMEOUT: Mistake.NO_ANSWER,
}


def count_mistakes(result: Result, tasks: Iterable[Task]) -> dict[Mistake, int]:
    """How often each mistake decided a wrong answer, in the order of ``Mistake``.

    Raises:
        InputError: a wrong record has no trace, or its task is not among ``tasks``.
    """
    by_id = {task.id: task for task in tasks}
    counts: Counter[Mistake] = Counter()
    for record in result.records:
        if record.em:
            continue
        if record.trace is None or record.task_id not in by_id:
            raise InputError(f"mistakes: task {record.task_id!r} needs its trace and task; evaluate with keep_traces")
        counts[diagnose(record.trace, by_id[record.task_id])] += 1
    return {mistake: counts[mistake] for mistake in Mistake if counts[mistake]}


def diagnose(trace: Trace, task: Task) -> Mistake:
    """The mistake that decided a trace whose answer is wrong."""
    if (ended := _BY_STOP.get(trace.stop)) is not None:
        return ended
    question, shown = _seen(trace.question), _seen()
    for observation in trace.observations:
        if observation.status is Status.OK:
            shown.add(observation.content)
    lookups = [_Lookup.read(call, seen) for call, seen in trace.calls() if seen.source is not Source.UTILITY]
    needed = _needed(task)
    missing = [pair for pair in needed if not any(lookup.shows(*pair) for lookup in lookups)]
    derived = any(normalize(answer) in CLOSED or question.says(answer) for answer in task.answers)
    saw_all = bool(lookups) and not missing and (derived or bool(needed))
    if saw_all or (not derived and any(shown.says(answer) for answer in task.answers)):
        return _in_the_answer(trace, question, shown)
    return _in_the_search(trace, lookups, needed, missing)


def _needed(task: Task) -> list[tuple[str, str]]:
    """What the answer follows from: pairs of what is asked about and what is found."""
    if task.evidence.hops:
        return [(hop.title, hop.answer) for hop in task.evidence.hops]
    return [(fact.subject, fact.object) for fact in task.evidence.facts]


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A call of a tool that knows something, as utilities don't: what it asked, and with that what it was told."""

    asked: Seen
    told: Seen
    status: Status

    @classmethod
    def read(cls, call: Call, observation: Observation) -> _Lookup:
        arguments = list(call.arguments.values())
        told = _seen(arguments, observation.content) if observation.status is Status.OK else _seen()
        return cls(_seen(arguments), told, observation.status)

    def shows(self, subject: str, found: str) -> bool:
        return self.told.says(found) and self.told.says(subject)


def _in_the_answer(trace: Trace, question: Seen, shown: Seen) -> Mistake:
    answer = trace.answer or ""
    if normalize(answer) in CLOSED or shown.says(answer) or question.says(answer):
        return Mistake.WRONG_VALUE
    leaves = (text for seen in trace.observations if seen.status is Status.OK for text in texts(seen.content))
    values = islice((normalize(text) for text in leaves if len(text) <= _MAX_LENGTH), _MAX_VALUES)
    near = SequenceMatcher(None, b=normalize(answer[:_MAX_LENGTH]))
    for value in values:
        near.set_seq1(value)
        if near.ratio() >= NEAR:
            return Mistake.ANSWER_MISCOPIED
    return Mistake.INVENTED


def _in_the_search(
    trace: Trace,
    lookups: Sequence[_Lookup],
    needed: Sequence[tuple[str, str]],
    missing: Sequence[tuple[str, str]],
) -> Mistake:
    if not lookups:
        return Mistake.GUESSED
    last = lookups[-1].status
    if last is Status.INVALID_CALL:
        return Mistake.INVALID_CALL
    if grounding(_without_recovered(trace)).ungrounded:
        return Mistake.ARGUMENT_MISCOPIED
    if last is not Status.OK:
        return Mistake.MISS_NOT_RECOVERED
    vain = [lookup for lookup in lookups if not any(lookup.shows(*pair) for pair in needed)]
    if any(lookup.asked.says(subject) for lookup in vain for subject, _ in missing):
        return Mistake.WRONG_TOOL
    return Mistake.STOPPED_EARLY


def _without_recovered(trace: Trace) -> Trace:
    """The trace without steps in which every call failed and that another call came after: they decided nothing."""
    last = max(index for index, step in enumerate(trace.steps) if step.observations)
    kept = [
        step
        for index, step in enumerate(trace.steps)
        if index >= last or any(observation.status is Status.OK for observation in step.observations)
    ]
    return trace.model_copy(update={"steps": tuple(kept)})


def _seen(*values: object) -> Seen:
    seen = Seen()
    for value in values:
        seen.add(value)
    return seen
