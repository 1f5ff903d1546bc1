"""Synthesis: every task gets a toolset, a world and a rollout; the audit decides where its trace goes.

A fixed number of workers takes tasks from one iterator, so memory doesn't grow with the number of tasks. Seeds derive
from the task's id, so a trace depends neither on the order of arrival nor on what was done before a kill.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import Field

from understudy.config import Config
from understudy.errors import MissingExtraError, OutageError, ThresholdError
from understudy.jsonl import write_json
from understudy.llm.ledger import Ledger
from understudy.metric import Metric
from understudy.noun import Noun
from understudy.protocols import Teacher
from understudy.rollout import Limits, rollout
from understudy.seed import derive_seed
from understudy.synthesis.audit import AuditSettings, audit
from understudy.synthesis.screen import Screen
from understudy.synthesis.store import FAILURES, REJECTED, SUMMARY, TRACES, RunFolder
from understudy.task import Task
from understudy.trace import Stop, Trace
from understudy.world import World

PROGRESS_SECONDS = 1.0
"""Seconds between two reports while no task ends."""


class SynthesisSettings(Config):
    """How traces are made."""

    seed: int = 0
    """All randomness derives from it and from task ids."""

    concurrency: int = Field(default=16, gt=0)
    """Tasks in work at once. Does not change results."""

    attempts: int = Field(default=2, gt=0)
    """Times a task is tried while its preparation or its policy fails, each time with another seed."""

    max_failed: float = Field(default=1.0, ge=0, le=1)
    """Share of failed tasks above which the finished run counts as failed (exit code 3)."""

    limits: Limits = Limits(timeout=3600.0)
    """What one rollout may use up. The time is long, as it includes waiting for an endpoint's rate limits."""

    audit: AuditSettings = AuditSettings()
    """What is kept."""


FREE_KEYS = ("concurrency", "max_failed")
"""Settings that may differ when a run is resumed."""


class Summary(Noun):
    """``summary.json``: outcomes and expenses of the whole run, and how long its last process worked on it.

    ``one_call`` is the share of tasks whose answer one call gave from nothing but the question; not of one-hop tasks.
    ``requests`` were answered and paid for; ``tokens`` (read and written) and ``cost`` are theirs, by role.
    """

    teacher: str
    tasks: int
    kept: int
    rejected: int
    failed: int
    reasons: dict[str, int]
    one_call: Metric
    seconds: float
    traces_per_second: float
    requests: int = 0
    tokens: dict[str, int] = Field(default_factory=dict)
    cost: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, and what it took. ``rate`` is in tasks per second of this process."""

    done: int
    kept: int
    rejected: int
    failed: int
    rate: float
    tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class _Failure:
    kind: str
    message: str


async def synthesise(
    tasks: Iterable[Task],
    teacher: Teacher,
    folder: RunFolder,
    settings: SynthesisSettings,
    on_progress: Callable[[Progress], None] | None = None,
    ledger: Ledger | None = None,
) -> Summary:
    """Make a trace of every task that is not done yet, and write ``summary.json``.

    Args:
        tasks: with unique ids; read only as fast as work is done.
        teacher: how a task gets its toolset, world, policy and tools.
        folder: started; the caller closes it.
        settings: seeds, limits and audit.
        on_progress: called after every task, and now and then in between.
        ledger: where the teacher's models count what they cost, if they do.

    Raises:
        InputError: the disk refuses, or the tasks can't be read on. What was done is safe, and the run can be resumed.
        OutageError: the teacher's models are gone. What was done is safe, and the run can be resumed.
        ThresholdError: more tasks failed than ``max_failed`` allows; everything is written.
    """
    started = time.perf_counter()
    source, screen = iter(tasks), Screen(settings.audit)
    fresh = 0

    def report() -> None:
        if on_progress:
            on_progress(_progress(folder, ledger, fresh / (time.perf_counter() - started)))

    async def work() -> None:
        nonlocal fresh
        for task in source:  # all workers take from the same iterator
            refusal = screen.refusal(task)
            if not folder.take(task):
                continue
            if refusal is not None:
                folder.reject(task, [refusal])
            else:
                _record(folder, task, await _attempt(task, teacher, settings), settings)
            if not fresh:  # from here on, a summary of what was there before would be wrong
                (folder.path / SUMMARY).unlink(missing_ok=True)
            fresh += 1
            report()

    try:
        async with _now_and_then(report), asyncio.TaskGroup() as group:
            for _ in range(settings.concurrency):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    folder.flush()
    seconds = time.perf_counter() - started
    end = _progress(folder, ledger, fresh / seconds)
    summary = Summary(
        teacher=teacher.name,
        tasks=end.done,
        kept=end.kept,
        rejected=end.rejected,
        failed=end.failed,
        reasons=dict(sorted(folder.reasons.items())),
        one_call=folder.oracles.share,
        seconds=round(seconds, 3),
        traces_per_second=round(end.rate, 3),
        requests=ledger.requests if ledger else 0,
        tokens=dict(sorted(ledger.tokens.items())) if ledger else {},
        cost={role: round(cost, 6) for role, cost in sorted(ledger.cost.items())} if ledger else {},
    )
    if not (folder.path / SUMMARY).exists():  # else the time of the process that did the work stays
        write_json(folder.path / SUMMARY, summary.model_dump())
    if summary.failed > settings.max_failed * summary.tasks:
        raise ThresholdError(
            f"max_failed: {summary.failed} of {summary.tasks} tasks failed; {settings.max_failed:.1%} are allowed"
        )
    return summary


@asynccontextmanager
async def _now_and_then(report: Callable[[], None]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            report()

    repeating = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeating.cancel()


async def _attempt(task: Task, teacher: Teacher, settings: SynthesisSettings) -> tuple[World, Trace] | _Failure:
    failure = _Failure("", "")
    for attempt in range(settings.attempts):
        seed = derive_seed(settings.seed, task.id, attempt)
        try:
            toolset, world = await teacher.prepare(task, derive_seed(seed, "prepare"))
            trace = await rollout(task, toolset, world, teacher.policy, teacher.tools, settings.limits, seed)
        except (MissingExtraError, OutageError):  # no other task would fare better
            raise
        except Exception as error:  # one bad task must not end a run of many: what failed, and how often, is recorded
            failure = _Failure(type(error).__name__, str(error))
            continue
        if trace.stop is not Stop.POLICY_ERROR:
            provenance = trace.provenance.model_copy(
                update={"prompts": {**teacher.prompts, **trace.provenance.prompts}}
            )
            return world, trace.model_copy(update={"provenance": provenance})
        failure = _Failure(trace.stop.value, trace.detail)
    return failure


def _record(folder: RunFolder, task: Task, made: tuple[World, Trace] | _Failure, settings: SynthesisSettings) -> None:
    if isinstance(made, _Failure):
        folder.fail(task, made.kind, made.message, settings.attempts)
        return
    world, trace = made
    if findings := audit(trace, task, world, settings.audit):
        folder.reject(task, findings, world, trace)
    else:
        folder.keep(task, world, trace)


def _progress(folder: RunFolder, ledger: Ledger | None, rate: float) -> Progress:
    kept, rejected, failed = (folder.counts[name] for name in (TRACES, REJECTED, FAILURES))
    tokens = sum(ledger.tokens.values()) if ledger else 0
    cost = sum(ledger.cost.values()) if ledger else 0.0
    return Progress(kept + rejected + failed, kept, rejected, failed, rate, tokens, cost)
