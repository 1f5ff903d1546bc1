"""The audit: whether a trace is fit to learn from, and every reason why it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from understudy.checks.contradiction import all_contradictions, misstatements
from understudy.checks.grounding import grounding
from understudy.checks.leak import leaking_tools, one_call_oracles
from understudy.checks.repetition import repeated
from understudy.config import Config
from understudy.contract import ToolContract
from understudy.reward.correctness import rule_of
from understudy.schema import dumps
from understudy.scoring import exact_match
from understudy.seed import derive_seed
from understudy.task import Task
from understudy.trace import ParseFault, Status, Stop, Trace, Turn
from understudy.world import World

MAX_DETAIL = 300


class Reason(StrEnum):
    """Why a trace is rejected."""

    GRAMMAR = "grammar"
    """A turn was malformed, even if the policy recovered: the text would be learned."""
    UNFINISHED = "unfinished"
    """The rollout ended without an answer; the detail names its stop reason."""
    INVALID_CALL = "invalid_call"
    """A call was refused and its tool never called rightly afterwards."""
    INVALID_RESULT = "invalid_result"
    """A call or its result, taken as good, breaks its contract."""
    SIMULATOR_FAILURE = "simulator_failure"
    """A simulated tool gave up."""
    CONTRADICTION = "contradiction"
    """A tool denies the world's facts, or the policy denies what it was told."""
    UNGROUNDED_ARGUMENT = "ungrounded_argument"
    """An argument comes neither from the question nor from an earlier observation."""
    UNGROUNDED_ANSWER = "ungrounded_answer"
    """No observation gives the answer or its operands."""
    REPEATED_CALL = "repeated_call"
    """The same call was made twice."""
    WRONG_ANSWER = "wrong_answer"
    """The answer is no exact match by the official script."""
    LEAK = "leak"
    """A tool's text says the answer."""
    ONE_CALL = "one_call"
    """One look-up gave the answer to a question of several hops, and no other led to it."""
    OVER_LONG = "over_long"
    """The trace exceeds the length limit."""
    RECOVERED = "recovered"
    """The trace recovers from an error, and its task is outside of the share of those that is kept."""
    DUPLICATE = "duplicate"
    """An earlier task asks the same question; no rollout was made."""
    NEAR_DUPLICATE = "near_duplicate"
    """An earlier task with the same answer asks nearly the same question; no rollout was made."""
    CONTAMINATED = "contaminated"
    """A dev or test row of a benchmark asks it; no rollout was made."""


class AuditSettings(Config):
    """What the audit accepts."""

    max_characters: int = Field(default=32_000, gt=0)
    """Thoughts, arguments, observations and answer together; about four characters make a token."""

    share_recovered: float = Field(default=1.0, ge=0, le=1)
    """Share of traces with refused calls or tool errors that is kept; drawn by task id, whatever the order."""

    assumed_hops: int = Field(default=1, gt=0)
    """Hops of a question that doesn't say. From 2 on, ``one_call`` judges traces of such questions too."""

    similarity: float = Field(default=0.8, gt=0, le=1)
    """Share of common words (Jaccard) from which on two questions with one answer are near-duplicates; 1: never."""

    benchmarks: tuple[str, ...] = ()
    """Files or folders of benchmark rows, or ``hf:NAME[:CONFIG][@SPLIT]``; no task may ask their dev and test rows."""

    overlap: float = Field(default=0.7, gt=0, le=1)
    """Share of a benchmark question's runs of five words from which on a task with its answer repeats it."""

    ignore: tuple[Reason, ...] = ()
    """Reasons that do not count."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason, and what exactly was found."""

    reason: Reason
    detail: str


def audit(trace: Trace, task: Task, world: World, settings: AuditSettings | None = None) -> list[Finding]:
    """Every reason why a trace is unfit, in the order of ``Reason``; empty when it is kept."""
    settings = settings or AuditSettings()
    found = [Finding(reason, detail[:MAX_DETAIL]) for reason, detail in _findings(trace, task, world, settings)]
    order = list(Reason)
    return sorted(
        (finding for finding in found if finding.reason not in settings.ignore),
        key=lambda finding: order.index(finding.reason),
    )


def _findings(trace: Trace, task: Task, world: World, settings: AuditSettings) -> Iterator[tuple[Reason, str]]:
    yield from structure(trace)
    misstated = [flaw.what for flaw in misstatements(trace)]
    for problem in (*all_contradictions(trace, world.facts), *misstated):
        yield Reason.CONTRADICTION, problem
    origin = grounding(trace)
    for flaw in origin.ungrounded:
        yield Reason.UNGROUNDED_ARGUMENT, flaw.what
    for flaw in repeated(trace):
        yield Reason.REPEATED_CALL, flaw.what
    if trace.answer is not None:
        if not origin.answer:
            yield Reason.UNGROUNDED_ANSWER, repr(trace.answer)
        if not exact_match(trace.answer, task.answers, rule_of(task)):
            yield Reason.WRONG_ANSWER, f"{trace.answer!r}; accepted: {', '.join(map(repr, task.answers))}"
        if _recovers(trace) and _draw(task) >= settings.share_recovered:
            yield Reason.RECOVERED, f"outside of the share of {settings.share_recovered:g}"
    for name in leaking_tools(task, trace.toolset):
        yield Reason.LEAK, f"the text of {name} says the answer"
    for name in one_call_oracles(trace, task, settings.assumed_hops, shortcut=True):
        yield Reason.ONE_CALL, f"{name} gives the answer from nothing but the question"
    if (length := characters(trace)) > settings.max_characters:
        yield Reason.OVER_LONG, f"{length} characters; at most {settings.max_characters}"


def structure(trace: Trace) -> Iterator[tuple[Reason, str]]:
    """What is wrong with a trace in itself: its grammar, its end, and its calls and results against the contracts."""
    for index, step in enumerate(trace.steps):
        if isinstance(step.turn, ParseFault):
            yield Reason.GRAMMAR, f"turn {index}: {step.turn.fault}: {step.turn.detail}"
    if trace.answer is None or trace.stop is not Stop.ANSWERED:
        yield Reason.UNFINISHED, f"{trace.stop}: {trace.detail}"
    yield from _calls(trace)
    if trace.stop is Stop.SIMULATOR_FAILURE:
        yield Reason.SIMULATOR_FAILURE, trace.detail


def _calls(trace: Trace) -> Iterator[tuple[Reason, str]]:
    contracts = {contract.name: contract for contract in trace.toolset}
    calls = trace.calls()
    last_ok = {call.name: place for place, (call, seen) in enumerate(calls) if seen.status is Status.OK}
    for place, (call, seen) in enumerate(calls):
        contract = contracts.get(call.name)
        if seen.status is Status.INVALID_CALL:
            # A tool that does not exist is recovered from by any that does.
            recovery = last_ok.get(call.name, -1) if contract else max(last_ok.values(), default=-1)
            if recovery < place:
                yield Reason.INVALID_CALL, f"{call.name}: {seen.content['error']['message']}"
        elif seen.status is Status.OK:
            for problem in _breaches(contract, call.arguments, seen.content):
                yield Reason.INVALID_RESULT, f"{call.name}: {problem}"


def _breaches(contract: ToolContract | None, arguments: object, result: object) -> list[str]:
    if contract is None:
        return ["the tool was not offered"]
    return contract.argument_violations(arguments) + contract.result_violations(result)


def _recovers(trace: Trace) -> bool:
    return any(seen.status in (Status.INVALID_CALL, Status.TOOL_ERROR) for seen in trace.observations)


def _draw(task: Task) -> float:
    return derive_seed("recovered", task.id) / (1 << 63)


def characters(trace: Trace) -> int:
    """Length of what the policy said and saw after the question."""
    length = 0
    for step in trace.steps:
        if isinstance(step.turn, Turn):
            length += len(step.turn.thought) + len(step.turn.answer or "")
            length += sum(len(call.name) + len(dumps(call.arguments)) for call in step.turn.calls)
        else:
            length += len(step.turn.raw)
        length += sum(len(dumps(seen.content)) for seen in step.observations)
    return length
