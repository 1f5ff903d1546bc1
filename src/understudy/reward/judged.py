"""An LLM judge as one more term of the reward: bounded like the others, and left out where it fails.

GRPO compares the rollouts of a task. A verdict that is missing must neither lower nor raise its rollout among them, so
that rollout gets the mean of its task's verdicts: the comparison is the same as without the term.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from understudy.agents.judge import Judge, Verdict
from understudy.checks.flaw import Flaw
from understudy.reward.composite import Reward, Weights
from understudy.seed import derive_seed
from understudy.trace import Trace


async def verdicts(
    judge: Judge, traces: Sequence[Trace], rewards: Sequence[Reward], seed: object
) -> list[Verdict | None]:
    """Ask the judge about every trace that has an answer and counts, all at once; None for the others."""

    async def ask(place: int, trace: Trace, reward: Reward) -> Verdict | None:
        if reward.masked or trace.answer is None:
            return None
        return await judge.judge(trace, derive_seed(seed, "judge", trace.task_id, place))

    return await asyncio.gather(*(ask(place, *pair) for place, pair in enumerate(zip(traces, rewards, strict=True))))


def judged(
    traces: Sequence[Trace], rewards: Sequence[Reward], said: Sequence[Verdict | None], weights: Weights
) -> list[Reward]:
    """Rewards with the term ``judge`` in [0, 1]: 0 without an answer; masked rewards stay as they are."""
    scores = [
        None if reward.masked else 0.0 if verdict is None else verdict.score
        for reward, verdict in zip(rewards, said, strict=True)
    ]
    by_task: defaultdict[str, list[float]] = defaultdict(list)
    for trace, score in zip(traces, scores, strict=True):
        if score is not None:
            by_task[trace.task_id].append(score)
    made = []
    for trace, reward, score, verdict in zip(traces, rewards, scores, said, strict=True):
        if not reward.masked:
            value = score if score is not None else fmean(by_task[trace.task_id] or [0.0])
            flaws = dict(reward.flaws)
            if verdict and verdict.score is not None and verdict.score < 1:
                flaws["judge"] = (Flaw(turn=None, what=verdict.reason),)
            total, terms = reward.total + weights.judge * value, {**reward.terms, "judge": value}
            reward = reward.model_copy(update={"total": total, "terms": terms, "flaws": flaws})
        made.append(reward)
    return made


def judge_metrics(said: Sequence[Verdict | None], right: Sequence[bool]) -> dict[str, tuple[float, int]]:
    """What the judge was asked, failed at and took in a batch, and its agreement with exact match: sums and counts.

    ``judge/agreement`` is the share of verdicts of at least one half that are about right answers, and of lower ones
    that are about wrong answers, among all; it is missing where there is no verdict.
    """
    asked = [(verdict, em) for verdict, em in zip(said, right, strict=True) if verdict]
    agreed = [(verdict.score >= 0.5) == em for verdict, em in asked if verdict.score is not None]
    return {
        "judge/asked": (len(asked), 1),
        "judge/failed": (len(asked) - len(agreed), 1),
        "judge/tokens": (sum(verdict.tokens for verdict, _ in asked), 1),
        "judge/cost": (sum(verdict.cost for verdict, _ in asked), 1),
        **({"judge/agreement": (sum(agreed), len(agreed))} if agreed else {}),
    }
