"""``understudy sft``: stage 1, fine-tuning on the traces of a run or on any tool-calling data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.train import (
    ConfigOption,
    DryRunOption,
    ResumeOption,
    SetOption,
    finish,
    settings,
    started_from,
    tell,
    training,
)  # fmt: skip
from understudy.errors import InputError, needs_extra
from understudy.training.settings import SftConfig


def command(
    config: ConfigOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the model and all else.")] = Path("runs/sft"),
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    set_: SetOption = None,
) -> None:
    """Fine-tune a model on audited traces (stage 1)."""
    given = settings(SftConfig, config, set_)
    with needs_extra("train"):
        from understudy.training.sft import read_traces, sft, sft_arguments, split
    if not given.traces:
        raise InputError("traces is missing: a run folder of synth, or a data set with messages and tools")
    train, held_out = split(read_traces(given.traces), given)
    if not train:
        raise InputError(f"{given.traces}: nothing to train on")
    if dry_run:
        asked = sft_arguments(given, out, bool(held_out))
        tell({
            "model": given.model,
            "traces": f"{len(train)} of {given.traces}",
            "held out": len(held_out),
            "turns": sum(len(trace.steps) for trace in train),
            "tools": len({contract.key() for trace in train for contract in trace.toolset}),
            "epochs": f"{given.epochs:g}",
            "batch": asked.per_device_train_batch_size * asked.gradient_accumulation_steps * asked.world_size,
            "trains": f"adapters of rank {given.lora.r}" if given.lora else "every weight",
            "learning rate": f"{given.lr:g}, {given.optimizer}, {given.schedule}",
        })  # fmt: skip
        return
    with training(given, out, resume, loss="loss", held_out="eval_loss") as show:
        result = sft(started_from(given), out, train, held_out, show, resume)
    finish(given, "sft", given.traces, result, out)
