"""What ``understudy sft`` and ``understudy grpo`` share: a claimed folder, a stage shown, the result written."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from understudy.cli.progress import Reporter, shown
from understudy.config import load_config
from understudy.errors import InputError
from understudy.jsonl import write_json
from understudy.noun import Noun
from understudy.synthesis.resume import claim_config, lock
from understudy.synthesis.store import CONFIG
from understudy.training.settings import TrainConfig

if TYPE_CHECKING:
    from understudy.training.progress import OnProgress

RESULT = "result.json"
LAB = "lab"

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file, or a run's config.json; configs/ has examples.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an earlier run of the same folder.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check settings and data, say what would be trained, and end. No weights.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Any setting as key=value.")]

C = TypeVar("C", bound=TrainConfig)


def settings(kind: type[C], config: Path | None, overrides: list[str] | None) -> C:
    """The configuration of a command.

    Raises:
        InputError: there is none, or it is bad.
    """
    if config is None and not overrides:
        raise InputError("--config FILE is missing; configs/lab, configs/qwen2.5-0.5b-lora and configs/qwen2.5-7b fit")
    return load_config(kind, config, overrides or ())


def started_from(config: C) -> C:
    """The configuration with ``model = "lab"`` replaced by the folder of the shipped base."""
    from understudy.lab.base.model import weights_dir

    return config.model_copy(update={"model": str(weights_dir())}) if config.model == LAB else config


def is_main() -> bool:
    """Whether this process is the only or the first one of those that ``accelerate launch`` started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def training(
    config: TrainConfig, out: Path, resume: bool, free: Collection[str] = (), **keys: str
) -> Iterator[OnProgress | None]:
    """Around training: the folder is claimed, and progress shown, by the main process alone.

    Args:
        config: saved, and compared when resumed.
        out: the run's folder.
        resume: go on with an earlier run.
        free: dotted keys that may differ when resumed.
        keys: what is shown: name of a figure → the metric behind it.

    Raises:
        InputError: the folder holds another run, or the disk refuses.
    """
    from understudy.training.checkpoints import writing
    from understudy.training.run import METRICS, MODEL

    with ExitStack() as open_things:
        show: OnProgress | None = None
        if is_main():
            open_things.enter_context(lock(out))
            results = [out / name for name in (METRICS, MODEL, RESULT)]
            claim_config(out / CONFIG, config.model_dump(mode="json"), resume, results, ("report_to", *free))
            show = shown(open_things.enter_context(Reporter().stage(out.name)), **keys)
        open_things.enter_context(writing(out))
        yield show


def finish(config: TrainConfig, stage: str, data: str, result: Noun, out: Path) -> None:
    """Write the result and the model's card, and print the result a line per figure."""
    from understudy.training.card import write_card
    from understudy.training.run import MODEL

    if is_main():
        write_card(config, stage, data, result, out / MODEL)
        found = result.model_dump(mode="json")
        write_json(out / RESULT, found)
        tell(found)


def tell(figures: dict[str, object]) -> None:
    """Print figures, a line each, once however many processes there are."""
    if not is_main():
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        typer.echo(f"{name.replace('_', ' '):{width}}  {value}")
