"""Where a pretraining run stands, in one safetensors file: weights, optimizer states, and a few numbers.

Batches depend on (seed, step) only, so a run that was killed goes on from its last checkpoint to the same weights as
one that was not. The file is replaced atomically. A checkpoint of other settings is refused with `ValueError`.
"""

import json
import os
from pathlib import Path
from typing import Any


def save_checkpoint(path: Path, model: Any, optims: list[Any], settings: dict[str, Any], state: dict[str, Any]) -> None:
    """Write the run to `path`; `settings` identify it, `state` is any JSON object."""
    from safetensors.torch import save_file

    tensors = {f"model.{name}": p.detach().contiguous() for name, p in model.named_parameters()}
    for i, optim in enumerate(optims):
        for j, entry in optim.state_dict()["state"].items():
            tensors |= {f"optim.{i}.{j}.{name}": tensor.contiguous() for name, tensor in entry.items()}
    partial = path.with_suffix(".partial")
    save_file(tensors, str(partial), metadata={"settings": json.dumps(settings), "state": json.dumps(state)})
    os.replace(partial, path)


def load_checkpoint(path: Path, model: Any, optims: list[Any], settings: dict[str, Any]) -> dict[str, Any] | None:
    """Restore model and optimizers in place and return the state; None when there is no checkpoint."""
    import torch
    from safetensors import safe_open

    if not path.exists():
        return None
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
        if json.loads(metadata["settings"]) != json.loads(json.dumps(settings)):
            raise ValueError(f"{path} belongs to a run with other settings; remove it to start afresh")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(tensors[f"model.{name}"])
    for i, optim in enumerate(optims):
        entries: dict[int, dict[str, Any]] = {}
        for key, tensor in tensors.items():
            if key.startswith(f"optim.{i}."):
                _, _, j, name = key.split(".", 3)
                entries.setdefault(int(j), {})[name] = tensor
        optim.load_state_dict({"state": entries, "param_groups": optim.state_dict()["param_groups"]})
    state: dict[str, Any] = json.loads(metadata["state"])
    return state
