"""``Report``: the schema of ``report.json``, and all that the page is made of. A measured number is a ``Metric``."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from understudy.evaluation.mistakes import Mistake
from understudy.metric import Metric
from understudy.noun import Noun
from understudy.reward.composite import Reward
from understudy.task import Kind
from understudy.trace import Step, Stop

MAX_EXAMPLES = 12


class Stage(StrEnum):
    """The three states of the model that are compared, in the order of training."""

    BASE = "base"
    SFT = "sft"
    GRPO = "grpo"


class Em(Noun):
    """Exact Match with simulated tools: the three stages, and the two controls of every report."""

    base: Metric
    sft: Metric
    grpo: Metric
    no_tools: Metric
    noop: Metric


class EmLive(Noun):
    """Exact Match of the three stages with live tools, on the same questions."""

    base: Metric
    sft: Metric
    grpo: Metric


class TraceCounts(Noun):
    """What synthesis made: traces written, kept by the audit, and rejected by reason (a trace may have several)."""

    synthesised: int
    kept: int
    rejected: dict[str, int] = Field(default_factory=dict)


class Simulation(Noun):
    """What was simulated: questions, distinct contracts, and who played teacher and tools on which facts.

    ``tellings``: how often SFT met each trace, as it is and then with other names every time.
    """

    questions: int
    contracts: int
    teacher: str
    simulator: str
    facts: str
    tellings: int = 1


class Behaviour(Noun):
    """How a stage acts with simulated tools, whether or not the answer is right.

    ``answered``: share of questions that got an answer; ``well_formed``: share whose every turn keeps the grammar;
    ``turns`` and ``calls``: per question; ``invalid_calls``: share of the calls that broke a contract.
    """

    answered: Metric
    well_formed: Metric
    turns: Metric
    calls: Metric
    invalid_calls: Metric


class Curve(Noun):
    """A learning curve of one stage: named series of (step, value). ``share``: values lie in [0, 1]."""

    stage: Stage
    title: str
    series: dict[str, tuple[tuple[int, float], ...]]
    share: bool = False


class Attempt(Noun):
    """One stage's rollout on an example question, and what it was worth."""

    stage: Stage
    steps: tuple[Step, ...]
    stop: Stop
    detail: str = ""
    answer: str | None
    right: bool
    reward: Reward | None = None


class Example(Noun):
    """One question as every stage worked on it; ``shows`` says why it is here."""

    task_id: str
    question: str
    answers: tuple[str, ...]
    kind: Kind | None = None
    hops: int | None = None
    shows: str
    attempts: tuple[Attempt, ...]


class Controls(Noun):
    """The controls of a full demo, as far as they ran: EM with simulated tools, and paired differences to GRPO.

    ``further_sft`` trains on with the compute of GRPO, ``shuffled_rewards`` is GRPO on rewards of other rollouts,
    ``corrupted`` evaluates the GRPO model with a simulator some of whose facts are wrong. ``over_…`` are GRPO minus the
    control; ``gap_corrupted`` is live minus corrupted.
    """

    further_sft: Metric | None = None
    shuffled_rewards: Metric | None = None
    corrupted: Metric | None = None
    over_further_sft: Metric | None = None
    over_shuffled_rewards: Metric | None = None
    gap_corrupted: Metric | None = None


class SeedRun(Noun):
    """The outcome of a whole run on another seed."""

    seed: int
    em: Em
    em_live: EmLive
    gap: Metric
    gain: Metric
    controls: Controls | None = None


class Report(Noun):
    """A whole run, from simulated traces to a scored model.

    ``gap`` is live minus simulated and ``gain`` GRPO minus SFT, both paired by question; ``gained`` and ``lost`` count
    the questions that turned right and wrong from SFT to GRPO. ``chance`` is the EM of guessing from the question
    alone. ``seconds`` has ``total`` and one entry per stage. Sections without data don't appear on the page.
    """

    seed: int
    versions: dict[str, str]
    seconds: dict[str, float]
    model: str = ""
    simulation: Simulation | None = None
    traces: TraceCounts
    em: Em
    em_live: EmLive
    gap: Metric
    gain: Metric
    gained: int
    lost: int
    chance: Metric | None = None
    behaviour: dict[Stage, Behaviour] = Field(default_factory=dict)
    by_kind: dict[Stage, dict[Kind, Metric]] = Field(default_factory=dict)
    by_hops: dict[Stage, dict[int, Metric]] = Field(default_factory=dict)
    mistakes: dict[Stage, dict[Mistake, int]] = Field(default_factory=dict)
    curves: tuple[Curve, ...] = ()
    controls: Controls | None = None
    seeds: tuple[SeedRun, ...] = ()
    examples: tuple[Example, ...] = Field(default=(), max_length=MAX_EXAMPLES)
