"""What torch can compute on."""

from __future__ import annotations

import torch


def gpu_memory() -> list[int]:
    """Bytes of memory of every GPU that this build of torch can use."""
    return [torch.cuda.get_device_properties(at).total_memory for at in range(torch.cuda.device_count())]
