"""What both stages share: trainer arguments, training with its log, and the weights that come of it."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import torch

from understudy.errors import InputError
from understudy.jsonl import read_json
from understudy.training.checkpoints import CHECKPOINTS, STATE
from understudy.training.models import save_model
from understudy.training.progress import MetricsLog
from understudy.training.render import Renderer
from understudy.training.settings import TrainConfig

ADAPTER, METRICS, MODEL = "adapter", "metrics.jsonl", "model"


def arguments(kind: Any, config: TrainConfig, out: Path, **own: Any) -> Any:
    """The TRL argument object of a run.

    Args:
        kind: ``SFTConfig`` or ``GRPOConfig``.
        config: settings.
        out: the run's folder.
        own: what the stage itself sets.

    Raises:
        InputError: ``trainer`` names something that TRL doesn't know, or holds a bad value.
    """
    if unknown := set(config.trainer) - {field.name for field in dataclasses.fields(kind)}:
        raise InputError(f"trainer: {kind.__name__} has no argument {', '.join(sorted(unknown))}")
    gpu = torch.cuda.is_available()
    shared = {
        "output_dir": str(out / CHECKPOINTS),
        "learning_rate": config.lr,
        "lr_scheduler_type": config.schedule,
        "warmup_steps": config.warmup,
        "weight_decay": config.weight_decay,
        "seed": config.seed,
        "data_seed": config.seed,
        "report_to": list(config.report_to) or "none",
        "save_strategy": "steps" if config.save_every else "no",
        "save_steps": config.save_every or 1,
        "save_total_limit": 2,
        "use_cpu": not gpu,
        "bf16": gpu,
        "gradient_checkpointing": gpu,
        # Causal models use every weight; their buffers are constants, and processes differ in forward passes a step.
        "ddp_find_unused_parameters": False,
        "ddp_broadcast_buffers": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "log_level_replica": "passive",  # as quiet as the main process
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": gpu,
        "disable_tqdm": True,
    }
    try:
        made = kind(**{**shared, **own, **config.trainer})
    except (TypeError, ValueError) as error:
        raise InputError(f"trainer: {next(iter(str(error).splitlines()), '')}") from None
    if made.device.type == "cpu":
        # With several processes accelerate numbers CPUs ("cpu:1"), onto which torch can't load an optimiser's state.
        made._setup_devices = torch.device("cpu")
    return made


def without_mask(model: Any) -> None:
    """Have the model drop the attention mask of batches that are padded on the right.

    Under causal attention no token sees what is behind it, so such a mask changes nothing; without it, attention skips
    the upper triangle (a fifth of a training step of a small model on a CPU).
    """

    def drop(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        mask = kwargs.get("attention_mask")
        if isinstance(mask, torch.Tensor) and mask.ndim == 2 and bool((mask[:, :-1] >= mask[:, 1:]).all()):
            kwargs = {**kwargs, "attention_mask": None}
        return args, kwargs

    model.register_forward_pre_hook(drop, with_kwargs=True)


def train_logged(trainer: Any, log: MetricsLog, checkpoint: Path | None) -> None:
    """Train to the end, from a checkpoint if there is one."""
    trainer.add_callback(log)
    try:
        if checkpoint:
            trainer.resume_counts(read_json(checkpoint / STATE)["log_history"])
        with warnings.catch_warnings():
            # Known: accelerate 1.15 has no other name yet for the option that torch 2.13 renamed.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        log.close()


def save_weights(trainer: Any, renderer: Renderer, folder: Path) -> None:
    """Write what was trained, gathered from all devices. Every process calls it; the main one writes."""
    spread = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped) if spread else None
    if trainer.is_world_process_zero():
        save_model(trainer.accelerator.unwrap_model(trainer.model), renderer, folder, weights)


def weights_folder(config: TrainConfig, out: Path) -> Path:
    """Where the chosen weights are written: the model, or the adapters that are merged into it."""
    return out / (ADAPTER if config.lora and config.lora.merge else MODEL)
