"""Prompts are text files in ``prompts/``; a trace records the hash of those that made it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as it lies in its file.

    Attributes:
        name: file name without ``.txt``.
        text: the whole file, without white space at its end.
        sha256: hash of ``text``, in hex.
    """

    name: str
    text: str
    sha256: str


@cache
def load(name: str) -> Prompt:
    """Read ``prompts/{name}.txt``."""
    text = resources.files("understudy.agents").joinpath("prompts", f"{name}.txt").read_text("utf-8").rstrip()
    return Prompt(name, text, hashlib.sha256(text.encode()).hexdigest())
