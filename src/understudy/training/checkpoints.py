"""Where a killed run goes on: checkpoints that are whole on the disk, or passed over."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from safetensors import SafetensorError, safe_open

from understudy.errors import InputError
from understudy.jsonl import disk_error, read_json
from understudy.training.devices import process_count

CHECKPOINTS, STATE = "checkpoints", "trainer_state.json"
_UNWRITTEN = re.compile("os error|inline_container|PytorchStreamWriter")


class WholeCheckpoints:
    """Mixed into a trainer: its state, which the main process writes last, says that all processes wrote theirs."""

    accelerator: Any

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)  # type: ignore[misc]
        # Every process has a file of its own here, and the main one would not wait for the others.
        self.accelerator.wait_for_everyone()

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Not at every checkpoint: it takes longer than a step of a small model."""


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Around training, whose libraries have errors of their own for a disk that refuses.

    Raises:
        InputError: the disk refuses a checkpoint or a model.
    """
    try:
        yield
    except Exception as error:  # the tokenizer's is no narrower
        if not _UNWRITTEN.search(str(error)):
            raise
        raise disk_error(out, OSError(f"a checkpoint is not complete: {str(error).splitlines()[0]}")) from None


def last_checkpoint(out: Path, step: float = math.inf) -> Path | None:
    """The newest complete checkpoint of a run that is not after ``step``; one that a kill left torn is passed over.

    Raises:
        InputError: there are complete ones, but of another number of processes, which would draw other random numbers.
    """
    processes = process_count()
    names = {f"rng_state_{at}.pth" for at in range(processes)} if processes > 1 else {"rng_state.pth"}
    found = [path for path in (out / CHECKPOINTS).glob("checkpoint-*") if path.name.partition("-")[2].isdigit()]
    complete = [path for path in found if int(path.name.partition("-")[2]) <= step and _is_complete(path)]
    ours = [path for path in complete if {file.name for file in path.glob("rng_state*.pth")} == names]
    if complete and not ours:
        raise InputError(f"{out}: can't resume with {processes} process(es); start as many as when it was begun")
    return max(ours, key=lambda path: int(path.name.partition("-")[2]), default=None)


def _is_complete(path: Path) -> bool:
    """Whether a checkpoint can be read and has all that training goes on with. The trainer's state is written last.

    A kill may come while an old one is being deleted, too. One that has folders is sharded: how, is not known here.
    """
    names = {file.name for file in path.iterdir()}
    sharded = any(file.is_dir() for file in path.iterdir())
    if not (sharded or ({"optimizer.pt", "scheduler.pt"} <= names and any(path.glob("*.safetensors")))):
        return False
    try:
        read_json(path / STATE)
        for file in path.glob("*.safetensors"):
            with safe_open(file, framework="pt") as weights:
                weights.keys()
    except (InputError, SafetensorError, OSError):
        return False
    # A torn archive lacks its directory, which is at its end.
    return all(is_zipfile(file) for file in path.glob("*.pt*"))
