"""What torch can compute on, and how many processes share the work."""

from __future__ import annotations

import ctypes
import sys

import torch
from accelerate import PartialState

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Numbers of glibc's ``mallopt``."""
_LARGE = 2**30
"""Bytes; the option is a C integer."""


def gpu_memory() -> list[int]:
    """Bytes of memory of every GPU that this build of torch can use."""
    return [torch.cuda.get_device_properties(at).total_memory for at in range(torch.cuda.device_count())]


def process_count() -> int:
    """How many processes train together. Unless accelerate is told to look at CPUs, it finds no other process there."""
    count: int = PartialState(cpu=not torch.cuda.is_available()).num_processes
    return count


def keep_freed_memory() -> None:
    """Have glibc keep what large tensors free for the next ones, instead of handing it back page by page.

    A training step of a small model on a CPU frees and takes hundreds of megabytes; the page faults cost a fifth of it.
    Elsewhere than on Linux with glibc, nothing changes.
    """
    if sys.platform == "linux":
        try:
            tune = ctypes.CDLL("libc.so.6").mallopt
        except (OSError, AttributeError):
            return
        tune(_M_MMAP_MAX, 0)
        tune(_M_TRIM_THRESHOLD, _LARGE)
