"""When sequences get longer, and how the learning rate moves: the two things that make a base learn copying in minutes.

Copying emerges on short sequences and then stretches; uniformly long ones from the start teach nothing within the
budget. So a run climbs LADDER, a rung at a time, when the loss on predictable tokens falls below the rung's bar, or
when the rung has used up its share of the run. On the last rung lengths are mixed, so that short ones are not lost.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Rung:
    """One stage of the curriculum."""

    length: int
    """Tokens of a sequence."""
    drills: float
    """Share of drills among the sequences."""
    bar: float
    """Smoothed loss (nats per predictable token) below which the run climbs."""
    share: float
    """Share of the run after which it climbs whatever the loss."""


LADDER = (
    Rung(16, 1.0, 0.8, 0.12), Rung(32, 1.0, 0.9, 0.08), Rung(64, 0.8, 0.7, 0.08), Rung(128, 0.5, 0.5, 0.1),
    Rung(256, 0.2, 0.4, 0.1), Rung(512, 0.1, 0.0, 1.0),
)  # fmt: skip

MIX = ((256, 0.3), (384, 0.3), (512, 0.3), (128, 0.1))
"""Lengths on the last rung and their shares."""


@dataclass
class Climb:
    """Where a run stands on the ladder."""

    rung: int = 0
    entered: float = 0.0
    """Progress (0 to 1) at which the rung was entered."""
    smooth: float | None = None
    """Exponential mean of the loss on predictable tokens since then."""

    def length(self, rng: Random) -> int:
        """Return the length of the next batch."""
        if self.rung < len(LADDER) - 1:
            return LADDER[self.rung].length
        lengths, shares = zip(*MIX, strict=True)
        return int(rng.choices(lengths, shares)[0])

    def update(self, loss: float, progress: float) -> bool:
        """Take in one batch's loss; return whether the run has just climbed."""
        self.smooth = loss if self.smooth is None else 0.95 * self.smooth + 0.05 * loss
        rung = LADDER[self.rung]
        if self.rung == len(LADDER) - 1 or (self.smooth > rung.bar and progress - self.entered < rung.share):
            return False
        self.rung, self.entered, self.smooth = self.rung + 1, progress, None
        return True


def rate(step: int, progress: float, warmup: int = 40, hold: float = 0.5, floor: float = 0.03) -> float:
    """Return the factor on both learning rates: linear warm-up, a plateau, then linear decay to `floor`."""
    return min(1.0, (step + 1) / warmup) * min(1.0, floor + (1 - floor) * (1 - progress) / (1 - hold))
