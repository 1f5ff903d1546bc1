"""Models on disk: safetensors only, no code from the hub, and one clear line when something is missing or broken."""

from __future__ import annotations

from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from understudy.errors import InputError
from understudy.training.devices import keep_freed_memory
from understudy.training.react import ReactRenderer
from understudy.training.render import Renderer, template_text
from understudy.training.settings import LoraSettings

SYSTEM = "system_message"
"""Key of ``tokenizer_config.json``: the system message that the model was trained with."""
_LOG = getLogger(__name__)


def load_model(path: str, whole: bool = False) -> tuple[Any, Any]:
    """A causal language model (in evaluation mode) and its tokenizer, from a folder or the hub.

    Args:
        path: folder or hub id.
        whole: in float32 in any case, as weights that are trained must be: steps of a small learning rate are lost in
            bfloat16. Otherwise float32 on a CPU, and elsewhere the precision it was saved in.

    Raises:
        InputError: it is missing, incomplete or corrupt.
    """
    dtype: Any = "auto" if torch.cuda.is_available() and not whole else torch.float32
    if not torch.cuda.is_available():
        keep_freed_memory()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path}: can't load a model ({first[:200]})") from None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model.eval(), tokenizer


def make_renderer(tokenizer: Any, template: str = "", system: str = "") -> Renderer:
    """The renderer of a model: in the native form, or in plain-text ReAct where its template can't; a warning says so.

    The choice follows from template and tokenizer alone, so training and evaluation make the same.

    Args:
        tokenizer: the model's.
        template: empty for the tokenizer's own, ``lab``, or a jinja file.
        system: system message of every conversation; empty for the one that the model was trained with.

    Raises:
        InputError: the file is missing, or the template can't be learnt from in either form.
    """
    text, system = _template(template), system or str(tokenizer.init_kwargs.get(SYSTEM, ""))
    try:
        return Renderer(tokenizer, text, system)
    except InputError as error:
        reason = error
    renderer = ReactRenderer(tokenizer, text, system)
    _LOG.warning("%s. So tools, turns and results are written as plain-text ReAct", reason)
    return renderer


def save_model(model: Any, renderer: Renderer, folder: Path, weights: dict[str, torch.Tensor] | None = None) -> None:
    """Write weights (or adapters) and tokenizer, the chat template and system message it was trained with included.

    Args:
        model: what is written.
        renderer: of the model.
        folder: where to.
        weights: the model's state where it is spread over devices; None where the model holds it itself.
    """
    model.save_pretrained(folder, state_dict=weights)
    renderer.tokenizer.chat_template = renderer.template
    if renderer.system:
        renderer.tokenizer.init_kwargs[SYSTEM] = renderer.system
    renderer.tokenizer.save_pretrained(folder)


def adapters(settings: LoraSettings) -> LoraConfig:
    """PEFT's configuration of adapters."""
    everywhere = settings.targets == ("all-linear",)
    return LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules="all-linear" if everywhere else list(settings.targets),
        task_type="CAUSAL_LM",
    )


def merge(base: str, adapter: Path, renderer: Renderer, folder: Path) -> None:
    """Write a model with saved adapters merged in, in the precision that the base was saved in."""
    model, _ = load_model(base, whole=True)
    saved_in = AutoConfig.from_pretrained(base).dtype or torch.float32
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    save_model(merged.to(saved_in), renderer, folder)


def _template(name: str) -> str | None:
    if name in ("", "lab"):
        return template_text(name) if name else None
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{name}: can't read the chat template ({error.strerror})") from None
