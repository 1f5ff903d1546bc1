"""A plausible report, with hostile text where models and tools could put it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from understudy.checks.flaw import Flaw
from understudy.evaluation.mistakes import Mistake
from understudy.grammar import fault
from understudy.metric import Metric, mean, proportion
from understudy.report.model import (
    Attempt,
    Behaviour,
    Controls,
    Curve,
    Em,
    EmLive,
    Example,
    Report,
    SeedRun,
    Simulation,
    Stage,
    TraceCounts,
)
from understudy.reward.composite import Reward
from understudy.task import Kind
from understudy.trace import Call, Fault, Observation, Source, Status, Step, Stop, Turn

SCRIPT = "<script>alert('x')</script>"
HOSTILE = (
    SCRIPT,
    "</style></title><img src=x onerror=alert(1)>",
    "W" * 300,
    "هل وُلد مخرج الفيلم في لندن؟",
    "\u202eevil\x00\x1b",
    "{{ 7*7 }}",
)
N = 320
COMMON = (
    *(Mistake.ARGUMENT_MISCOPIED, Mistake.ANSWER_MISCOPIED, Mistake.WRONG_VALUE, Mistake.STOPPED_EARLY),
    *(Mistake.MISS_NOT_RECOVERED, Mistake.NO_ANSWER, Mistake.MALFORMED),
)


def share(value: float, n: int = N) -> Metric:
    return proportion(round(value * n), n)


def shift(value: float, half: float) -> Metric:
    return Metric(value=value, n=N, ci95=(value - half, value + half))


def falling(last: int, every: int = 1) -> tuple[tuple[int, float], ...]:
    generator = random.Random(every)
    return tuple((s, 4 * math.exp(-s / 28) + generator.uniform(0.16, 0.24)) for s in range(every, last + 1, every))


def rising(start: float, noise: float, every: int = 1) -> tuple[tuple[int, float], ...]:
    generator = random.Random(every)
    return tuple((s, start + 0.2 * (1 - math.exp(-s / 20)) + generator.gauss(0, noise)) for s in range(0, 61, every))


def steps(person: str, city: str, film: str = "The Amber Tide", hostile: str = "") -> tuple[Step, ...]:
    first = Call(id="a", name="find_director", arguments={"film": film})
    second = Call(id="b", name="find_birthplace", arguments={"person": person})
    return (
        Step(
            turn=Turn(thought=f"I need the director of {film}. {hostile}", calls=(first,)),
            observations=(
                Observation(
                    call_id="a",
                    name=first.name,
                    content={"director": "Ilse Varga", "note": hostile},
                    source=Source.SIMULATED,
                ),
            ),
        ),
        Step(
            turn=Turn(thought="Now the place of birth.", calls=(second,)),
            observations=(
                Observation(call_id="b", name=second.name, content={"birthplace": city}, source=Source.SIMULATED)
                if person == "Ilse Varga"
                else Observation.error(
                    "b", second.name, Status.TOOL_ERROR, f"no record of {person!r}", Source.SIMULATED
                ),
            ),
        ),
        Step(turn=Turn(thought=f"So it is {city}.", answer=city)),
    )


def reward(total: float, correctness: float, others: float, flaws: Sequence[Flaw] = ()) -> Reward:
    names = ("consistency", "format", "valid_calls", "grounding", "no_repeats", "no_contradiction")
    terms = {"correctness": correctness, **dict.fromkeys(names, others)}
    return Reward(total=total, terms=terms, flaws={"grounding": tuple(flaws)})


def example(task_id: str, question: str, answer: str, shows: str, hostile: str = "", right: bool = True) -> Example:
    raw = 'director director of of {"film the the the Amber Am Am' + hostile
    base = (Step(turn=fault(Fault.STRAY_TEXT, f"text outside of tags: {raw[:60]!r}", raw)),) * 3
    return Example(
        task_id=task_id,
        question=question,
        answers=(answer, "alias"),
        kind=Kind.BRIDGE,
        hops=2,
        shows=shows,
        attempts=(
            Attempt(
                stage=Stage.BASE,
                steps=base,
                stop=Stop.MALFORMED,
                detail=f"stray_text: {raw}",
                answer=None,
                right=False,
                reward=reward(0.0, 0.0, 0.0, [Flaw(turn=None, what=f"no look-up {hostile}")]),
            ),
            Attempt(
                stage=Stage.SFT,
                steps=steps("Ilse Vargas", "Red Hill"),
                stop=Stop.ANSWERED,
                answer="Red Hill",
                right=False,
                reward=reward(0.27, 0.0, 0.875, [Flaw(turn=1, what="person: 'Ilse Vargas'")]),
            ),
            Attempt(
                stage=Stage.GRPO,
                steps=steps("Ilse Varga", answer, hostile=hostile),
                stop=Stop.ANSWERED,
                answer=answer,
                right=right,
                reward=reward(1.3, 1.0, 1.0),
            ),
        ),
    )


def make_report(hostile: bool = False, full: bool = False) -> Report:
    generator = random.Random(7)
    em = Em(base=share(0.013), sft=share(0.66), grpo=share(0.81), no_tools=share(0.17), noop=share(0))
    em_live = EmLive(base=share(0.016), sft=share(0.65), grpo=share(0.803))
    kinds = dict(zip(Kind, (62, 71, 58, 64, 65), strict=True))
    levels = {Stage.BASE: 0.01, Stage.SFT: 0.66, Stage.GRPO: 0.81}
    text = list(HOSTILE) if hostile else [""] * len(HOSTILE)
    rejected = {"wrong_answer": 41, "ungrounded_answer": 22, "invalid_call_never_recovered": 9, "duplicate": 3}
    versions = {"understudy": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "trl": "1.16.0"}
    if hostile:
        rejected |= {SCRIPT: 2, "W" * 300: 1}
        versions |= {bad: bad for bad in HOSTILE}
    examples = [
        example("q1", "Where was the director of The Amber Tide born?", "Port Hallow", "GRPO turned it right"),
        example("q2", "In which city was the director of The Amber Tide born?", "Port Hallow", "right since SFT"),
        example(
            "q3", "Where was the director of The Amber Tide born?", "Port Hallow", "still wrong: invented", right=False
        ),
    ]
    if hostile:
        examples = [
            example(f"h{i}", f"Where? {bad}", bad.replace("\x00", "") or "x", f"shows {bad[:30]}", bad)
            for i, bad in enumerate(text)
        ] + [example("long", "Long thoughts? " + "why " * 200, "Port Hallow", "10 kB", "thinking about it " * 560)]
    return Report(
        seed=7,
        versions=versions,
        seconds={"total": 288.4, "synthesis": 9.1, "sft": 71.3, "grpo": 150.2, "evaluation": 57.8},
        model=("A Qwen3-config model of 1.1 M parameters" + (text[1] if hostile else "")),
        simulation=Simulation(
            questions=480,
            contracts=74,
            teacher="scripted teacher" + text[0],
            simulator="scripted ToolActor",
            facts="evidence",
            tellings=6,
        ),
        traces=TraceCounts(
            synthesised=480,
            kept=412,
            rejected=rejected,
        ),
        em=em,
        em_live=em_live,
        gap=shift(-0.007, 0.018),
        gain=shift(0.15, 0.053),
        gained=62,
        lost=14,
        chance=mean([0.5] * 120 + [0.0] * 200, 7),
        behaviour={
            stage: Behaviour(
                answered=share(answered),
                well_formed=share(formed),
                turns=mean([generator.choice((calls, calls + 1)) for _ in range(N)], 7),
                calls=mean([generator.choice((calls, calls, calls + 1)) for _ in range(N)], 7),
                invalid_calls=share(invalid, 900 if stage is not Stage.BASE else 0),
            )
            for stage, answered, formed, calls, invalid in (
                (Stage.BASE, 0.02, 0.01, 0, 0.0),
                (Stage.SFT, 0.93, 0.97, 2, 0.021),
                (Stage.GRPO, 0.99, 0.99, 2, 0.006),
            )
        },
        by_kind={
            stage: {kind: share(level + (n - 64) / 60 * (level > 0.1), n) for kind, n in kinds.items()}
            for stage, level in levels.items()
        },
        by_hops={
            stage: {hops: share(level - (hops - 2.6) / 8 * (level > 0.1), 220 - 50 * hops) for hops in (2, 3, 4)}
            for stage, level in levels.items()
        },
        mistakes={
            Stage.BASE: {Mistake.MALFORMED: 301, Mistake.WRONG_TOOL: 15},
            Stage.SFT: dict(zip(COMMON, (31, 12, 9, 18, 14, 22, 3), strict=True)),
            Stage.GRPO: dict(zip(COMMON, (27, 13, 8, 5, 4, 3, 0), strict=True)) | {Mistake.INVENTED: 1},
        },
        curves=(
            Curve(stage=Stage.SFT, title="loss", series={"training": falling(160), "held out": falling(160, every=20)}),
            Curve(stage=Stage.GRPO, title="reward", series={"reward": rising(0.86, 0.05)}),
            Curve(
                stage=Stage.GRPO,
                title="exact match",
                series={"rollouts": rising(0.58, 0.04), "held out": rising(0.65, 0, every=10)},
                share=True,
            ),
        ),
        controls=Controls(
            further_sft=share(0.684),
            shuffled_rewards=share(0.641),
            corrupted=share(0.61),
            over_further_sft=shift(0.126, 0.05),
            over_shuffled_rewards=shift(0.169, 0.055),
            gap_corrupted=shift(0.193, 0.05),
        )
        if full
        else None,
        seeds=tuple(
            SeedRun(seed=seed, em=em, em_live=em_live, gap=shift(-0.01, 0.02), gain=shift(0.14, 0.05))
            for seed in (1, 2)
        )
        if full
        else (),
        examples=tuple(examples),
    )


@pytest.fixture
def report() -> Report:
    return make_report()


@pytest.fixture
def full() -> Report:
    return make_report(full=True)


@pytest.fixture
def hostile() -> Report:
    return make_report(hostile=True, full=True)
