"""Models on disk: safetensors only, no code from the hub, and one clear line when something is missing or broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from understudy.errors import InputError
from understudy.training.render import Renderer, template_text


def load_model(path: str) -> tuple[Any, Any]:
    """A causal language model (in evaluation mode) and its tokenizer, from a folder or the hub.

    float32 on a CPU; elsewhere the precision it was saved in.

    Raises:
        InputError: it is missing, incomplete or corrupt.
    """
    dtype: Any = "auto" if torch.cuda.is_available() else torch.float32
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
    """The renderer of a model.

    Args:
        tokenizer: the model's.
        template: empty for the tokenizer's own, ``lab``, or a jinja file.
        system: system message of every conversation.

    Raises:
        InputError: the file is missing, or the template can't be learnt from.
    """
    if not template:
        return Renderer(tokenizer, system=system)
    if template == "lab":
        return Renderer(tokenizer, template_text("lab"), system)
    try:
        return Renderer(tokenizer, Path(template).read_text(encoding="utf-8"), system)
    except OSError as error:
        raise InputError(f"{template}: can't read the chat template ({error.strerror})") from None


def save_model(model: Any, renderer: Renderer, folder: Path) -> None:
    """Write weights and tokenizer, the chat template it was trained with included."""
    model.save_pretrained(folder)
    renderer.tokenizer.chat_template = renderer.template
    renderer.tokenizer.save_pretrained(folder)
