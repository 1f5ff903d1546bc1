"""Dynamic sampling (DAPO, arXiv 2503.14476): groups that teach nothing make room for groups of other tasks.

A group teaches by the contrast of its rewards: where all are equal, every advantage is 0. Such groups are replaced
before the update, in a bounded number of rounds, and kept where no replacement has contrast either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from understudy.reward.composite import Reward
from understudy.seed import derive_seed
from understudy.training.rollouts import Batch

_EQUAL = 1e-6  # sums of the same terms differ by rounding at most, terms of a reward by far more


@dataclass(frozen=True, slots=True, repr=False)
class Refilled:
    """A batch after its groups without contrast were replaced as far as possible.

    Attributes:
        batch: what is trained on, in the order of the batch as drawn; its seconds are those of all rollouts.
        before: share of groups without contrast as drawn.
        after: share of groups without contrast that are trained on.
        rollouts: how many were made in all.
    """

    batch: Batch
    before: float
    after: float
    rollouts: int

    def metrics(self) -> dict[str, float]:
        """As they are logged."""
        return {
            "refill/flat_before": self.before,
            "refill/flat_after": self.after,
            "refill/rollouts": float(self.rollouts),
            "seconds/rollouts": self.batch.seconds_rollouts,
            "seconds/scoring": self.batch.seconds_scoring,
        }


def has_contrast(rewards: Sequence[Reward]) -> bool:
    """Whether a group's rewards differ, those that a simulator spoilt left out."""
    totals = [reward.total for reward in rewards if not reward.masked]
    return bool(totals) and max(totals) - min(totals) > _EQUAL


def spares(tasks: Iterable[str], taken: Collection[str], seed: object, most: int) -> list[str]:
    """At most ``most`` tasks that may stand in for the ``taken`` ones of a batch. Follows from its arguments alone."""
    free = sorted(set(tasks).difference(taken))
    return Random(derive_seed(seed, "refill")).sample(free, min(most, len(free)))


async def refill(
    drawn: Batch,
    places: Sequence[int],
    group: int,
    others: Sequence[str],
    rounds: int,
    roll: Callable[[Sequence[tuple[str, int]]], Awaitable[Batch]],
) -> Refilled:
    """Replace groups without contrast by groups of other tasks.

    Args:
        drawn: the batch.
        places: of each rollout in its group, neighbours side by side. A group that is not here as a whole (another
            device has the rest) stays as it is.
        group: rollouts per task.
        others: tasks to take, first ones first, each once.
        rounds: at most.
        roll: rolls out (task id, place in the group).
    """
    rows = list(zip(drawn.tasks, drawn.traces, drawn.rewards, strict=True))
    whole = [at for at in range(len(rows) - group + 1) if places[at] == 0]
    flat = [at for at in whole if not has_contrast(drawn.rewards[at : at + group])]
    before, spent, batches, unused = len(flat), len(rows), [drawn], iter(others)
    for _ in range(rounds):
        asked = list(zip(flat, unused, strict=False))
        if not asked:
            break
        made = await roll([(task_id, place) for _, task_id in asked for place in range(group)])
        batches.append(made)
        spent += len(made.traces)
        for number, (at, _) in enumerate(asked):
            part = slice(number * group, (number + 1) * group)
            if has_contrast(made.rewards[part]):
                rows[at : at + group] = zip(made.tasks[part], made.traces[part], made.rewards[part], strict=True)
                flat.remove(at)
    tasks, traces, rewards = zip(*rows, strict=True)
    seconds = {name: sum(getattr(batch, name) for batch in batches) for name in ("seconds_rollouts", "seconds_scoring")}
    groups = max(1, len(whole))
    kept = replace(drawn, tasks=tasks, traces=traces, rewards=rewards, **seconds)
    return Refilled(kept, before / groups, len(flat) / groups, spent)
