"""A watch over GRPO: says early that a run goes wrong, and ends one that has collapsed.

Once per batch of rollouts, what the trainer logged about it is compared with thresholds (``WatchSettings``) and with
the run's own start. A batch that exceeds one is a warning: a line, and ``watch/…`` in ``metrics.jsonl``. After a number
of such batches in a row, training ends. What the watch knows follows from the trainer's log, so that a resumed run is
judged as if it had never been killed.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback

from understudy.training.settings import WatchSettings

RIGHT = 1.0
"""A right answer is worth at least this. Where the mean is, equal rewards and a sure policy are success."""

SMOOTHED = 5
"""Batches whose mean is the smoothed reward."""

_LOG = logging.getLogger(__name__)
_FINITE = ("loss", "grad_norm")


class Watch(TrainerCallback):  # type: ignore[misc]
    """Add it before whoever writes the metrics: it adds to them.

    Args:
        settings: the thresholds.
        window: optimiser steps per batch of rollouts.

    Attributes:
        stopped: why training was ended; None while it wasn't.
        strikes: batches in a row that exceeded a threshold.
    """

    def __init__(self, settings: WatchSettings, window: int) -> None:
        self.stopped: str | None = None
        self.strikes = 0
        self._settings, self._window = settings, window
        self._batch, self._said = 0, frozenset[str]()
        self._values: dict[str, list[float]] = defaultdict(list)
        self._start: dict[str, float] = {}
        self._rewards: deque[float] = deque(maxlen=SMOOTHED)
        self._best = 0.0

    @property
    def good(self) -> int:
        """The last batch after which the weights were good, as far as is known: they sampled one without a warning."""
        return self._batch - self.strikes - 1

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Judge again what was logged before a kill."""
        for logged in state.log_history:
            self._judge(logged["step"], logged)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Judge a batch when its last step is logged."""
        if logs is None or "train_runtime" in logs:
            return
        found = self._judge(state.global_step, logs)
        if found is None:
            return
        self._say(found, state)
        logs |= {"watch/strikes": float(self.strikes), **{f"watch/{name}": 1.0 for name in found}}
        patience = self._settings.patience
        # Weights that are no numbers don't recover.
        if found and patience and (self.strikes >= patience or "finite" in found):
            control.should_training_stop = True
            control.should_save = False  # a run that is killed now, and resumed, has to come here again
            self.stopped = "; ".join(found.values())

    def _judge(self, step: int, logged: Mapping[str, Any]) -> dict[str, str] | None:
        """What is exceeded, by name, and in words; None in the middle of a batch."""
        for name, value in logged.items():
            if isinstance(value, int | float) and not (math.isnan(value) and name not in _FINITE):
                self._values[name].append(float(value))
        if step // self._window <= self._batch:
            return None
        self._batch = step // self._window
        means = {name: sum(values) / len(values) for name, values in self._values.items()}
        self._values.clear()
        self._start = {**means, **self._start}
        # Shares of bad turns are those of this process's rollouts; all processes have to agree.
        found: dict[str, str] = broadcast_object_list([self._exceeded(means)])[0]
        self.strikes = self.strikes + 1 if found else 0
        return found

    def _exceeded(self, now: Mapping[str, float]) -> dict[str, str]:
        limits, found = self._settings, dict[str, str]()

        def above(name: str, key: str, limit: float, what: str) -> None:
            if key in now and now[key] > limit:
                found[name] = f"{what} {now[key]:.3g}, above {limit:.3g}"

        if broken := [name for name in _FINITE if not math.isfinite(now.get(name, 0.0))]:
            found["finite"] = f"{' and '.join(broken)} not a number"
        solved = now.get("reward", 0.0) >= RIGHT
        if now.get("entropy", math.inf) < limits.entropy and not solved:
            found["entropy"] = f"entropy {now['entropy']:.3g}, below {limits.entropy:g}"
        for name, key, what in (("entropy", "entropy", "entropy"), ("length", "sampled_tokens", "tokens per rollout")):
            if self._start.get(key):
                above(name, key, limits.growth * self._start[key], what)
        above("kl", "kl" if "kl" in now else "sampling/kl", limits.kl, "divergence")
        above("clipped", "clip_ratio/region_mean", limits.clipped, "share of clipped tokens")
        if not solved:
            above("flat", "frac_reward_zero_std", limits.flat, "share of groups without contrast")
        for name, what in (("malformed_turns", "malformed turns"), ("invalid_calls", "invalid calls")):
            above(name, name, limits.broken + self._start.get(name, 0.0), f"share of {what}")
        if "reward" in now:
            self._rewards.append(now["reward"])
            smoothed = sum(self._rewards) / len(self._rewards)
            if len(self._rewards) == SMOOTHED:
                self._best = max(self._best, smoothed)
            if smoothed < (1 - limits.fall) * self._best:
                found["reward"] = f"reward {smoothed:.3g}, fallen from {self._best:.3g}"
        return found

    def _say(self, found: Mapping[str, str], state: Any) -> None:
        """A line when something new is exceeded, and none while it goes on."""
        if set(found) - self._said and state.is_world_process_zero:
            patience = f"{self.strikes} in a row, {self._settings.patience} end the run"
            patience = patience if self._settings.patience else "the run goes on"
            _LOG.warning("batch %d: %s (%s)", self._batch, "; ".join(found.values()), patience)
        self._said = frozenset(found)
