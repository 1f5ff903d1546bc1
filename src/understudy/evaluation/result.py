"""What an evaluation leaves: a record per question, and the numbers computed from them.

A question without an answer is wrong, whatever the scorer would say of an empty text: else a policy that does nothing
could match an answer that normalises to nothing. A question lost to a simulator counts as wrong too, but is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from understudy.checks.flaw import Flaw
from understudy.metric import Metric, mean, proportion
from understudy.noun import Noun
from understudy.reward.consistency import consistency
from understudy.reward.format import form
from understudy.scoring import Rule, exact_match, f1
from understudy.task import Kind, Task
from understudy.trace import ParseFault, Status, Stop, Trace


class Record(Noun):
    """One question as it was answered: a line of ``records.jsonl``.

    ``key`` identifies everything that determines the record; a run resumes only from records with its own keys.
    ``tokens`` are those sampled by the policy, ``prompted`` those it read. ``turns`` counts all of them, the answer's
    included, ``calls`` those that were answered, ``invalid_calls`` those among them that broke a contract, ``faults``
    malformed turns. ``flaws`` are those of consistency and format, by term of the reward, each with its turn (from 0).
    """

    key: str
    task_id: str
    question: str
    answers: tuple[str, ...]
    kind: Kind | None
    hops: int | None
    prediction: str | None
    em: bool
    f1: float
    turns: int
    calls: int
    invalid_calls: int
    faults: int
    flaws: dict[str, tuple[Flaw, ...]] = Field(default_factory=dict)
    stop: Stop
    detail: str
    tokens: int
    prompted: int = 0
    cost: float
    seconds: float
    trace: Trace | None = None


def record(task: Task, trace: Trace, rule: Rule, key: str, keep_trace: bool) -> Record:
    """Score a trace. A kept trace is kept without its token ids."""
    prediction = trace.answer
    statuses = [observation.status for _, observation in trace.calls()]
    terms = {**consistency(trace), "format": form(trace)}
    return Record(
        key=key,
        task_id=task.id,
        question=task.question,
        answers=task.answers,
        kind=task.kind,
        hops=task.hops,
        prediction=prediction,
        em=prediction is not None and exact_match(prediction, task.answers, rule),
        f1=0.0 if prediction is None else f1(prediction, task.answers, rule),
        turns=len(trace.steps),
        calls=len(statuses),
        invalid_calls=statuses.count(Status.INVALID_CALL),
        faults=sum(isinstance(step.turn, ParseFault) for step in trace.steps),
        flaws={name: term.flaws for name, term in terms.items() if term.flaws},
        stop=trace.stop,
        detail=trace.detail,
        tokens=trace.provenance.usage.get("sampled", 0),
        prompted=trace.provenance.usage.get("prompted", 0),
        cost=trace.provenance.cost,
        seconds=trace.provenance.seconds,
        trace=trace.model_copy(update={"tokens": None}) if keep_trace else None,
    )


class Latency(Noun):
    """Seconds that a question took, model and tools together: the median, and what 95 % of them stayed below."""

    p50: float = 0.0
    p95: float = 0.0


class Result(Noun):
    """One policy on one set of questions with one source of tools.

    ``em`` and the breakdowns carry Wilson intervals; ``f1``, ``turns`` and ``calls``, which are per question, bootstrap
    intervals. ``invalid_calls`` is the share among all calls. ``seconds`` is the mean per question; ``tokens``
    (sampled), X to a simulator; they count as wrong in ``em``.
    """

    policy: str
    tools: str
    facts: str
    rule: Rule
    seed: int
    em: Metric
    f1: Metric
    by_kind: dict[Kind, Metric]
    by_hops: dict[int, Metric]
    turns: Metric
    calls: Metric
    invalid_calls: Metric
    stops: dict[Stop, int]
    simulator_failures: tuple[str, ...]
    tokens: int
    prompted: int = 0
    cost: float
    seconds: float
    latency: Latency = Latency()
    records: tuple[Record, ...]

    def summary(self) -> dict[str, Any]:
        """What ``result.json`` holds: all but the records."""
        return self.model_dump(mode="json", exclude={"records"})

    def timeless(self) -> Result:
        """The same result with all times set to 0: two runs are the same when these are equal."""
        times = {"seconds": 0.0, "latency": Latency(), "records": tuple(map(_timeless, self.records))}
        return self.model_copy(update=times)


def summarise(records: Sequence[Record], *, policy: str, tools: str, facts: str, rule: Rule, seed: int) -> Result:
    """Compute a result from its records, in the order of their task ids."""
    ordered = sorted(records, key=lambda record: record.task_id)
    return Result(
        policy=policy,
        tools=tools,
        facts=facts,
        rule=rule,
        seed=seed,
        em=_em(ordered),
        f1=mean([record.f1 for record in ordered], seed),
        by_kind=_em_by(ordered, "kind"),
        by_hops=_em_by(ordered, "hops"),
        turns=mean([record.turns for record in ordered], seed),
        calls=mean([record.calls for record in ordered], seed),
        invalid_calls=proportion(
            sum(record.invalid_calls for record in ordered), sum(record.calls for record in ordered)
        ),
        stops=dict(sorted(Counter(record.stop for record in ordered).items())),
        simulator_failures=tuple(r.task_id for r in ordered if r.stop is Stop.SIMULATOR_FAILURE),
        tokens=sum(record.tokens for record in ordered),
        prompted=sum(record.prompted for record in ordered),
        cost=sum(record.cost for record in ordered),
        seconds=sum(record.seconds for record in ordered) / max(1, len(ordered)),
        latency=_latency([record.seconds for record in ordered]),
        records=tuple(ordered),
    )


def _latency(seconds: Sequence[float]) -> Latency:
    if not seconds:
        return Latency()
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return Latency(p50=float(p50), p95=float(p95))


def _em(records: Sequence[Record]) -> Metric:
    return proportion(sum(record.em for record in records), len(records))


def _em_by(records: Sequence[Record], field: str) -> dict[Any, Metric]:
    """EM by the value of a field, values in order; records without a value are left out."""
    values = sorted({getattr(record, field) for record in records} - {None})
    return {value: _em([record for record in records if getattr(record, field) == value]) for value in values}


def _timeless(record: Record) -> Record:
    trace = record.trace
    if trace is not None:
        trace = trace.model_copy(update={"provenance": trace.provenance.model_copy(update={"seconds": 0.0})})
    return record.model_copy(update={"seconds": 0.0, "trace": trace})
