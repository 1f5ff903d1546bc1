"""The card of a trained model: what it was trained from and on, what was measured, and how to do the same again."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2

from understudy import __version__
from understudy.jsonl import write_atomic
from understudy.noun import Noun
from understudy.training.render import template_text
from understudy.training.settings import TrainConfig


def write_card(config: TrainConfig, stage: str, data: str, result: Noun, folder: Path) -> None:
    """Write ``README.md`` beside the weights.

    Args:
        config: of the run.
        stage: the command, ``sft`` or ``grpo``.
        data: what was trained on.
        result: the figures that the run ended with.
        folder: of the model.

    Raises:
        InputError: the disk refuses.
    """
    environment = jinja2.Environment(  # noqa: S701 (Markdown of the user's own settings)
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    lora = config.lora
    text = environment.from_string(template_text("card.md")).render(
        stage=stage,
        base=config.model,
        is_hub_id=not Path(config.model).exists() and config.model.count("/") == 1,
        data=data or "traces given from Python",
        trains=f"LoRA adapters of rank {lora.r}" if lora else "training every weight",
        not_whole=lora is not None and not lora.merge,
        figures={name: _shown(value) for name, value in result.model_dump(mode="json").items() if name != "model"},
        config=config.model_dump_json(indent=2, exclude={"endpoint"}),
        versions={
            "understudy": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "transformers", "trl", "peft")},
        },
    )
    write_atomic(folder / "README.md", text.encode())


def _shown(value: Any) -> str:
    if isinstance(value, dict):  # a metric
        low, high = value["ci95"]
        return f"{value['value']:.3f} ({low:.3f} to {high:.3f}), n = {value['n']}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
