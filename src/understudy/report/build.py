"""From the results of a run to its report: everything that can be computed is computed here, once."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

from understudy import __version__
from understudy.evaluation.compare import compare
from understudy.evaluation.controls import blind_guess, chance_level
from understudy.evaluation.mistakes import count_mistakes
from understudy.evaluation.result import Result
from understudy.metric import Metric, proportion
from understudy.report.examples import pick_examples
from understudy.report.model import (
    Behaviour,
    Controls,
    Curve,
    Em,
    EmLive,
    Report,
    SeedRun,
    Simulation,
    Stage,
    TraceCounts,
)
from understudy.reward.composite import Reward
from understudy.task import Task
from understudy.trace import Stop, Trace

_LIBRARIES = ("numpy", "torch", "transformers", "trl", "tokenizers")


def build_report(
    *,
    seed: int,
    seconds: Mapping[str, float],
    tasks: Sequence[Task],
    traces: TraceCounts,
    simulated: Mapping[str, Result],
    live: Mapping[str, Result],
    reward: Callable[[Trace, Task], Reward],
    guess: Callable[[Task], float] = blind_guess,
    curves: Sequence[Curve] = (),
    model: str = "",
    simulation: Simulation | None = None,
    seeds: Sequence[SeedRun] = (),
) -> Report:
    """Put a report together.

    Args:
        seed: of the run.
        seconds: ``total`` and one entry per stage of the run.
        tasks: the test questions.
        traces: what synthesis made.
        simulated: results with simulated tools: ``base, sft, grpo, no_tools, noop``, and as far as they ran
            ``further_sft, shuffled_rewards, corrupted``. Those of the three stages need their traces.
        live: results with live tools on the same questions: ``base, sft, grpo``.
        reward: what a trace of a task is worth, for the examples.
        guess: task → probability of guessing its answer from the question alone.
        curves: learning curves in the order in which they are shown.
        model: what was trained, in words.
        simulation: what was simulated.
        seeds: outcomes on other seeds.

    Raises:
        InputError: results that are compared are not about the same questions.
    """
    stages = {stage: simulated[stage] for stage in Stage}
    change = compare(simulated["sft"], simulated["grpo"], seed)
    return Report(
        seed=seed,
        versions=versions(),
        seconds=dict(seconds),
        model=model,
        simulation=simulation,
        traces=traces,
        em=Em(**{name: simulated[name].em for name in Em.model_fields}),
        em_live=EmLive(**{name: live[name].em for name in EmLive.model_fields}),
        gap=compare(simulated["grpo"], live["grpo"], seed).em,
        gain=change.em,
        gained=len(change.gained),
        lost=len(change.lost),
        chance=chance_level(tasks, guess, seed),
        behaviour={stage: _behaviour(result) for stage, result in stages.items()},
        by_kind={stage: result.by_kind for stage, result in stages.items()},
        by_hops={stage: result.by_hops for stage, result in stages.items()},
        mistakes={stage: count_mistakes(result, tasks) for stage, result in stages.items()},
        curves=tuple(curves),
        controls=_controls(simulated, live["grpo"], seed),
        seeds=tuple(seeds),
        examples=pick_examples(stages, {task.id: task for task in tasks}, reward),
    )


def versions() -> dict[str, str]:
    """Versions of this package, Python, and the libraries that decide numbers, as far as they are installed."""
    found = {"understudy": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _behaviour(result: Result) -> Behaviour:
    total = len(result.records)
    return Behaviour(
        answered=proportion(result.stops.get(Stop.ANSWERED, 0), total),
        well_formed=proportion(sum(record.faults == 0 for record in result.records), total),
        turns=result.turns,
        calls=result.calls,
        invalid_calls=result.invalid_calls,
    )


def _controls(simulated: Mapping[str, Result], live: Result, seed: int) -> Controls | None:
    ran = {name: simulated[name] for name in ("further_sft", "shuffled_rewards", "corrupted") if name in simulated}
    if not ran:
        return None

    def against(name: str, other: Result) -> Metric | None:
        return compare(ran[name], other, seed).em if name in ran else None

    return Controls(
        **{name: result.em for name, result in ran.items()},
        over_further_sft=against("further_sft", simulated["grpo"]),
        over_shuffled_rewards=against("shuffled_rewards", simulated["grpo"]),
        gap_corrupted=against("corrupted", live),
    )
