"""What training says while it runs: a metrics line per log, and progress for whoever shows it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from transformers import TrainerCallback

from understudy.jsonl import JsonlWriter, read_jsonl, write_atomic


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands.

    Attributes:
        stage: ``sft`` or ``grpo``.
        step: optimiser steps done.
        total: optimiser steps of the whole run.
        values: the metrics just logged (``loss``, ``eval_loss``, ``reward`` …).
        seconds_left: estimate from the steps of this process; None before the first.
    """

    stage: str
    step: int
    total: int
    values: Mapping[str, float]
    seconds_left: float | None


OnProgress = Callable[[Progress], None]


class MetricsLog(TrainerCallback):  # type: ignore[misc]
    """Writes ``metrics.jsonl`` and calls back.

    A resumed run goes on where its checkpoint was: lines of steps that are done again are dropped first.
    """

    def __init__(self, stage: str, path: Path, on_progress: OnProgress | None = None) -> None:
        self._stage, self._path, self._on_progress = stage, path, on_progress
        self._writer: JsonlWriter | None = None
        self._started, self._first = 0.0, 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the file."""
        if not state.is_world_process_zero:
            return
        resumed = state.global_step > 0 and self._path.exists()
        kept = [line for line in read_jsonl(self._path) if line["step"] <= state.global_step] if resumed else []
        write_atomic(self._path, b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in kept))
        self._writer = JsonlWriter(self._path, sync_every=50)
        self._started, self._first = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """One line."""
        values = {
            key: float(value) for key, value in (logs or {}).items()
            if isinstance(value, int | float) and math.isfinite(value)
        }  # fmt: skip
        if self._writer is None or "train_runtime" in values:
            return
        self._writer.write({"step": state.global_step, **values})
        if self._on_progress:
            done, elapsed = state.global_step - self._first, time.monotonic() - self._started
            left = elapsed / done * (state.max_steps - state.global_step) if done else None
            self._on_progress(Progress(self._stage, state.global_step, state.max_steps, values, left))

    def close(self) -> None:
        """Bring the file to the disk."""
        if self._writer:
            self._writer.close()
