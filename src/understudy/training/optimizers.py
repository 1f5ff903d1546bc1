"""Optimisers by name: AdamW, or Muon for matrices with AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

import torch

Kind = Literal["adamw", "muon"]

TOKEN_RATE = 0.02
"""Learning rate of embeddings and head over that of the rest. Adam moves a row by the full rate however small its
gradient is, and so would carry tokens that the data never shows out of reach."""


def build_optimizer(model: Any, kind: Kind, lr: float, weight_decay: float = 0.0) -> torch.optim.Optimizer:
    """An optimiser over the model's trainable parameters."""
    parameters = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    if kind == "adamw":
        return torch.optim.AdamW([value for _, value in parameters], lr=lr, weight_decay=weight_decay)
    return MuonWithAdamW(parameters, lr, weight_decay)


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for the matrices of the blocks, AdamW for embeddings, head, norms and biases.

    Muon's updates are scaled to the size of AdamW's (``match_rms_adamw``, Liu et al. 2025, arXiv 2502.16982), so that
    one learning rate serves both. Embeddings and head move slower (``TOKEN_RATE``).
    """

    def __init__(self, parameters: list[tuple[str, torch.nn.Parameter]], lr: float, weight_decay: float) -> None:
        tokens = [value for name, value in parameters if any(part in name for part in ("embed", "lm_head"))]
        known = set(tokens)
        matrices = [value for _, value in parameters if value.ndim == 2 and value not in known]
        others = [value for _, value in parameters if value.ndim != 2 and value not in known]
        groups: list[dict[str, Any]] = [{"params": others}, {"params": tokens, "lr": TOKEN_RATE * lr}]
        self._parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, weight_decay=weight_decay),
        )
        # The groups are the parts' own, so that a scheduler which sets their rates reaches the parts.
        super().__init__([group for part in self._parts for group in part.param_groups], {})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of all parameters."""
        loss = closure() if closure else None
        for part in self._parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both parts."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore both parts."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]
