"""The simulated-to-live gap: one policy on the same questions, once with simulated and once with live search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from understudy.checks.text import texts, words
from understudy.errors import InputError
from understudy.evaluation.compare import Comparison, compare
from understudy.evaluation.result import Record, Result
from understudy.evaluation.run import OpenPolicy, Show, run_evaluation
from understudy.evaluation.settings import EvalConfig, SourceKind, ToolsetKind
from understudy.jsonl import write_json
from understudy.metric import Metric, mean, proportion
from understudy.noun import Noun
from understudy.schema import canonical
from understudy.scoring import normalize
from understudy.trace import Observation, Source

GAP = "gap.json"
SIDES = (SourceKind.SIMULATED, SourceKind.LIVE)


class Agreement(Noun):
    """How much two tool sources said alike to calls that were made on both sides, of the same question.

    ``shared`` is the share of all calls that were made on both. ``status`` is the share of shared calls with the same
    status, ``words`` their mean overlap of words (the F1 of two bags of words), ``answer`` the share of shared calls
    for which both or neither said an accepted answer.
    """

    shared: Metric
    status: Metric
    words: Metric
    answer: Metric


class Gap(Noun):
    """``simulated`` and ``live`` are EM. ``difference`` is live − simulated, with the questions that flipped."""

    simulated: Metric
    live: Metric
    difference: Comparison
    observations: Agreement


async def run_gap(
    config: EvalConfig, out: Path, open_policy: OpenPolicy, resume: bool = False, show: Show | None = None
) -> Gap:
    """Run both sides, each a whole evaluation in a folder of its own, and write ``gap.json``.

    Args:
        config: with ``toolset = "search"``, a simulator and a search; ``tools.source`` is set here.
        out: the folder.
        open_policy: makes the policy.
        resume: go on with an earlier run of the same folder.
        show: called as the run advances.

    Raises:
        InputError: the configuration has not both sides, or one of them can't be run.
        ThresholdError: a side lost more questions than ``max_failed`` allows.
    """
    tools = config.tools
    if tools.toolset is not ToolsetKind.SEARCH or tools.simulator is None or tools.search is None:
        raise InputError('gap: needs toolset = "search" and both tables, tools.simulator and tools.search')
    results = {}
    for side in SIDES:
        one = config.model_copy(update={"tools": tools.model_copy(update={"source": side})})
        results[side] = (await run_evaluation(one, out / side.value, open_policy, resume, _of(side, show))).result
    found = gap(results[SourceKind.SIMULATED], results[SourceKind.LIVE], config.seed)
    write_json(out / GAP, found.model_dump(mode="json"))
    return found


def gap(simulated: Result, live: Result, seed: int = 0) -> Gap:
    """The gap between two results on the same questions.

    Raises:
        InputError: they are not about the same questions.
    """
    difference = compare(simulated, live, seed)
    pairs = list(zip(simulated.records, live.records, strict=True))
    return Gap(simulated=simulated.em, live=live.em, difference=difference, observations=agreement(pairs, seed))


def agreement(pairs: Iterable[tuple[Record, Record]], seed: int = 0) -> Agreement:
    """How much the observations of two runs agree, question by question."""
    shared, statuses, overlaps, answers = [], [], [], []
    for first, second in pairs:
        one, other = _observed(first), _observed(second)
        for key in dict.fromkeys((*one, *other)):
            shared.append(key in one and key in other)
            if shared[-1]:
                a, b = one[key], other[key]
                statuses.append(a.status is b.status)
                overlaps.append(overlap(a.content, b.content))
                answers.append(_says(a, first.answers) == _says(b, first.answers))
    return Agreement(
        shared=proportion(sum(shared), len(shared)),
        status=proportion(sum(statuses), len(statuses)),
        words=mean(overlaps, seed),
        answer=proportion(sum(answers), len(answers)),
    )


def overlap(first: Any, second: Any) -> float:
    """F1 of the words of two JSON values, as bags; 1 for two without words."""
    one, other = (Counter(_words(value)) for value in (first, second))
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 1.0


def _words(value: Any) -> Iterator[str]:
    for text in texts(value):
        yield from words(text)


def _observed(record: Record) -> dict[bytes, Observation]:
    """What each distinct call got, by its canonical form; what the loop refused came to no tool."""
    if record.trace is None:
        return {}
    return {
        canonical([call.name, call.arguments]): seen
        for call, seen in reversed(record.trace.calls())
        if seen.source is not Source.LOOP
    }


def _says(observation: Observation, answers: Iterable[str]) -> bool:
    said = " \n ".join(normalize(text) for text in texts(observation.content))
    return any(f" {normal} " in f" {said} " for normal in map(normalize, answers) if normal)


def _of(side: SourceKind, show: Show | None) -> Show | None:
    return (lambda stage, *figures: show(f"{side}: {stage}", *figures)) if show else None
