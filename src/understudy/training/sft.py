"""Stage 1: supervised fine-tuning on audited traces, which teaches the trace grammar.

TRL's ``SFTTrainer`` on token ids and labels that the renderer made: the loss falls on the assistant's good turns only,
and the sequences are those of rollouts. The checkpoint with the lowest loss on held-out traces is kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from datasets import Dataset
from torch.utils.data import Sampler
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig as TrlSftConfig
from trl import SFTTrainer, pack_dataset

from understudy.agents.autoagent import Form
from understudy.errors import InputError
from understudy.noun import Noun
from understudy.seed import derive_seed
from understudy.synthesis.dataset import read_dataset
from understudy.synthesis.store import TRACES, RunFolder
from understudy.trace import Trace
from understudy.training.checkpoints import WholeCheckpoints, last_checkpoint
from understudy.training.head import score_labelled_only
from understudy.training.models import adapters, load_model, make_renderer, merge
from understudy.training.optimizers import build_optimizer
from understudy.training.progress import MetricsLog, OnProgress
from understudy.training.render import Renderer
from understudy.training.run import (
    METRICS,
    MODEL,
    arguments,
    save_weights,
    train_logged,
    weights_folder,
    without_mask,
)
from understudy.training.settings import SftConfig as SftConfig

_MEGABATCH = 16
"""Batches among which sequences are sorted by length: enough to save padding, few enough to stay shuffled."""


class SftResult(Noun):
    """What SFT did.

    Attributes:
        model: folder of the chosen model.
        form: how tools are offered and turns written: ``native`` by the chat template, or ``react`` as plain text.
        steps: optimiser steps of the run.
        best_step: the step whose weights were chosen.
        loss: mean loss per learnt token over the last tenth of the steps, in nats.
        held_out_loss: of the chosen weights; None without held-out traces.
        trained: traces trained on.
        held_out: traces held out.
        too_long: traces left out.
        seconds: wall time.
    """

    model: str
    form: Form
    steps: int
    best_step: int
    loss: float
    held_out_loss: float | None
    trained: int
    held_out: int
    too_long: int
    seconds: float


def sft(
    config: SftConfig,
    out: Path,
    traces: Sequence[Trace] | None = None,
    held_out: Sequence[Trace] | None = None,
    on_progress: OnProgress | None = None,
    resume: bool = False,
) -> SftResult:
    """Fine-tune a model on traces and save it to ``out/model``.

    Args:
        config: settings.
        out: the run's folder: ``model``, ``checkpoints``, ``metrics.jsonl``.
        traces: what to train on; None reads ``config.traces``.
        held_out: what to measure on; None splits it off by ``config.held_out``.
        on_progress: called at every log.
        resume: go on from the newest complete checkpoint, if there is one.

    Raises:
        InputError: no traces, an unreadable model, or an argument that TRL refuses.
    """
    started = time.monotonic()
    model, tokenizer = load_model(config.model, whole=config.lora is None)
    renderer = make_renderer(tokenizer, config.template, config.system)
    everything = list(traces if traces is not None else read_traces(config.traces))
    train, measure = (everything, list(held_out)) if held_out is not None else split(everything, config)
    rows = [_rows(part, renderer, config.max_length) for part in (train, measure)]
    if not rows[0]:
        raise InputError(f"{config.traces or 'traces'}: nothing to train on (of {len(everything)} traces)")
    trainer = _trainer(config, out, model, tokenizer, rows[0], rows[1])
    train_logged(trainer, MetricsLog("sft", out / METRICS, on_progress), last_checkpoint(out) if resume else None)
    folder = weights_folder(config, out)
    save_weights(trainer, renderer, folder)
    if folder != out / MODEL and trainer.is_world_process_zero():
        merge(config.model, folder, renderer, out / MODEL)
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    tail = losses[-max(1, len(losses) // 10) :]
    return SftResult(
        model=str(out / MODEL),
        form=renderer.form,
        steps=trainer.state.global_step,
        best_step=trainer.state.best_global_step or trainer.state.global_step,
        loss=sum(tail) / len(tail),
        held_out_loss=trainer.state.best_metric,
        trained=len(rows[0]),
        held_out=len(rows[1]),
        too_long=len(train) + len(measure) - len(rows[0]) - len(rows[1]),
        seconds=round(time.monotonic() - started, 3),
    )


def read_traces(source: str) -> list[Trace]:
    """The traces of a run folder or a data set.

    Raises:
        InputError: there are none, or a row is not what it has to be.
    """
    path = Path(source)
    return list(RunFolder(path).traces() if (path / TRACES).exists() else read_dataset(path))


def split(traces: Sequence[Trace], config: SftConfig) -> tuple[list[Trace], list[Trace]]:
    """Traces to train on and to hold out, by task: all traces of a task go the same way, in any order of traces."""
    parts: tuple[list[Trace], list[Trace]] = [], []
    for trace in traces:
        parts[config.holds_out(trace.task_id)].append(trace)
    return parts


def sft_arguments(config: SftConfig, out: Path, choose: bool) -> Any:
    """The arguments of TRL's trainer; ``choose`` when held-out traces choose the checkpoint.

    Raises:
        InputError: ``trainer`` holds an argument that TRL refuses.
    """
    return arguments(
        TrlSftConfig,
        config,
        out,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=2 * config.batch_size,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        eval_strategy="steps" if choose else "no",
        eval_steps=config.save_every or None,
        load_best_model_at_end=choose,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
    )


def _rows(traces: Sequence[Trace], renderer: Renderer, max_length: int) -> list[dict[str, list[int]]]:
    rendered = [renderer.render(trace) for trace in traces]
    rows = [{"input_ids": one.input_ids, "labels": one.labels} for one in rendered if any(one.mask)]
    return [row for row in rows if len(row["input_ids"]) <= max_length]


def _trainer(
    config: SftConfig, out: Path, model: Any, tokenizer: Any, train: list[Any], measure: list[Any]
) -> _Trainer:
    choose = bool(measure) and config.save_every > 0
    args = sft_arguments(config, out, choose)
    rows = Dataset.from_list(train)
    if args.packing:
        rows = pack_dataset(rows, config.max_length, args.packing_strategy)
    optimizer = None
    if config.optimizer == "muon":
        optimizer = build_optimizer(model, "muon", config.lr, config.weight_decay)
    trainer = _Trainer(
        model=model,
        args=args,
        train_dataset=rows,
        eval_dataset=Dataset.from_list(measure) if choose else None,
        processing_class=tokenizer,
        optimizers=(optimizer, None),
        peft_config=adapters(config.lora) if config.lora else None,
    )
    trainer.remove_callback(PrinterCallback)
    without_mask(trainer.model)
    score_labelled_only(trainer.model)
    return trainer


class _Trainer(WholeCheckpoints, SFTTrainer):  # type: ignore[misc]
    """TRL's trainer, with batches of similar lengths that don't depend on what ran before."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        lengths = [len(ids) for ids in self.train_dataset["input_ids"]]
        # Accelerate deals batches out in turn: those of one step lie side by side, and are of similar lengths.
        self._order = LengthSampler(lengths, self._train_batch_size * self.args.world_size, self.args.seed)
        return self._order

    def _run_epoch(self, *, epoch: int, **kwargs: Any) -> None:
        # With several processes, transformers doesn't reach the sampler of the epoch in which a run is resumed: its
        # batches are wrapped once more, and were those of the first epoch.
        self._order.set_epoch(epoch)
        super()._run_epoch(epoch=epoch, **kwargs)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's, but metrics of an epoch's last batch count all processes.

        TRL gathers a sum of each process, of which accelerate drops some, as if they were rows that fill the batch up;
        in the epoch in which a run is resumed it drops none.
        """
        self.accelerator.gather_for_metrics = self.accelerator.gather
        try:
            return super().compute_loss(*args, **kwargs)
        finally:
            del self.accelerator.gather_for_metrics

    def resume_counts(self, history: Sequence[dict[str, Any]]) -> None:
        """Go on counting tokens, which TRL starts again at 0."""
        self._total_train_tokens = max((line.get("num_tokens", 0) for line in history), default=0)


class LengthSampler(Sampler[int]):
    """Shuffles, then sorts by length within every sixteen batches, then shuffles whole batches.

    The order of an epoch follows from (seed, epoch) alone, so a resumed run sees the batches that are owed.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths, self._batch, self._seed, self._epoch = lengths, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = Random(derive_seed(self._seed, "order", self._epoch))
        order = list(range(len(self._lengths)))
        rng.shuffle(order)
        batches: list[list[int]] = []
        for start in range(0, len(order), self._batch * _MEGABATCH):
            mega = sorted(order[start : start + self._batch * _MEGABATCH], key=lambda at: -self._lengths[at])
            batches += [mega[at : at + self._batch] for at in range(0, len(mega), self._batch)]
        # The short last batch stays last: in front it would shift the borders of all others.
        last = [batches.pop()] if len(batches[-1]) < self._batch else []
        rng.shuffle(batches)
        return (at for batch in batches + last for at in batch)
