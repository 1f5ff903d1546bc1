"""What the report says in words. Every sentence follows from the numbers, and says so when they don't carry a claim."""

from __future__ import annotations

from understudy.metric import Metric
from understudy.report.figures import (
    THIN,
    decimal,
    duration,
    excludes_zero,
    integer,
    percent,
    points,
    points_interval,
    share_interval,
)
from understudy.report.model import Report, Stage

NAMES = {Stage.BASE: "Base", Stage.SFT: "SFT", Stage.GRPO: "GRPO"}


def headline(report: Report) -> str:
    """One sentence: where the model started and what it does with live tools now."""
    before, after = report.em_live.base, report.em_live.grpo
    if after.ci95[0] > before.ci95[1]:
        return f"Trained on simulated tools, it answers {percent(after.value)} of unseen questions with live ones"
    return f"Training did not help: {percent(after.value)} of unseen questions right with live tools"


def lede(report: Report) -> str:
    """What happened, in one breath."""
    em, timed = report.em, "This seed" if report.seeds else "The whole run"
    return (
        f"{report.model or 'The model'} started at {percent(em.base.value)} exact match. It reached "
        f"{percent(em.sft.value)} after supervised fine-tuning (SFT) on {integer(report.traces.kept)} simulated "
        f"traces, and {percent(em.grpo.value)} after reinforcement learning (GRPO) on simulated tools. "
        f"{timed} took {duration(report.seconds.get('total', 0.0))}."
    )


def simulated(report: Report) -> str:
    """What was simulated."""
    counts, simulation = report.traces, report.simulation
    share = percent(counts.kept / counts.synthesised) if counts.synthesised else "none"
    audit = f"{share} of {integer(counts.synthesised)} passed the audit"
    if simulation is None:
        return audit
    retold = f"; each told {simulation.tellings} times, with other names" if simulation.tellings > 1 else ""
    return (
        f"{audit}; {integer(simulation.contracts)} tool contracts for {integer(simulation.questions)} questions, "
        f"facts: {simulation.facts}{retold}"
    )


def learned(report: Report, stage: Stage) -> str:
    """What a stage can do, or learned."""
    behaviour = report.behaviour.get(stage)
    if stage is Stage.GRPO:
        before = report.behaviour.get(Stage.SFT)
        turned = f"{report.gained} questions turned right, {report.lost} turned wrong"
        if behaviour is None or before is None:
            return turned
        return f"{turned}; {decimal(behaviour.turns.value)} turns a question, {decimal(before.turns.value)} before"
    if behaviour is None:
        return ""
    answered = f"answers {percent(behaviour.answered.value)} of questions"
    if stage is Stage.BASE or behaviour.invalid_calls.n == 0:
        return f"{answered}, right or wrong"
    return f"{answered}; {percent(1 - behaviour.invalid_calls.value)} of its calls are valid"


def gain(report: Report) -> str:
    """Whether GRPO is told apart from SFT."""
    return _difference(report.gain, "GRPO is {} points above SFT", "GRPO is {} points below SFT", "GRPO and SFT")


def gap(report: Report) -> str:
    """Whether live tools are told apart from simulated ones."""
    return _difference(
        report.gap,
        "Live tools score {} points above simulated ones",
        "Live tools score {} points below simulated ones",
        "Live and simulated tools",
    )


def blind(report: Report) -> str:
    """Whether the score without tools is explained by guessing."""
    score, chance = report.em.no_tools, report.chance
    if chance is None:
        return ""
    level = f"guessing from the question alone (the tick) is worth {percent(chance.value)}, {share_interval(chance)}"
    if score.ci95[0] > chance.ci95[1]:
        return f"Without tools it scores {percent(score.value)}, which is above chance: {level}. Part of it is memory."
    return f"Without tools it scores {percent(score.value)}; {level}."


def alarm(report: Report) -> str:
    """What makes every other number doubtful; empty when nothing does."""
    if report.em.noop.value > 0:
        return (
            f"A policy that does nothing scores {percent(report.em.noop.value)}. It must score 0: "
            "the questions or the scorer are broken, and no number here can be trusted."
        )
    return ""


def describe(name: str, metric: Metric) -> str:
    """The text alternative of a bar."""
    return f"{name}: {percent(metric.value)}, 95{THIN}% interval {share_interval(metric)}, n {integer(metric.n)}"


def _difference(metric: Metric, above: str, below: str, both: str) -> str:
    interval = f"95{THIN}% interval {points_interval(metric)}"
    if not excludes_zero(metric):
        return f"{both} can't be told apart: {points(metric.value)} points, {interval}."
    size = points(abs(metric.value)).removeprefix("+")
    return f"{(above if metric.value > 0 else below).format(size)} ({interval})."
