"""Optimisers by name: AdamW, or Muon for matrices with AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

import torch
import torch.distributed as dist

Kind = Literal["adamw", "muon"]

TOKEN_RATE = 0.1
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

    Processes that train together have the same gradients. Muon orthogonalises, which for a small model takes a third of
    a training step, so each matrix is left to one of them, which shares what comes of it. The sums are the same.
    """

    def __init__(self, parameters: list[tuple[str, torch.nn.Parameter]], lr: float, weight_decay: float) -> None:
        tokens = [value for name, value in parameters if any(part in name for part in ("embed", "lm_head"))]
        known = set(tokens)
        matrices = [value for _, value in parameters if value.ndim == 2 and value not in known]
        others = [value for _, value in parameters if value.ndim != 2 and value not in known]
        groups: list[dict[str, Any]] = [{"params": others}, {"params": tokens, "lr": TOKEN_RATE * lr}]
        self._rank, self._count = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        # The largest first, so that what is dealt out in turn is about as much for each.
        matrices.sort(key=torch.Tensor.numel, reverse=True)
        self._muon: list[torch.optim.Optimizer] = [
            torch.optim.Muon(dealt, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            for dealt in (matrices[rank :: self._count] for rank in range(self._count))
            if dealt
        ]
        self._adamw = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=lr, weight_decay=weight_decay
        )
        self._parts: tuple[torch.optim.Optimizer, ...] = (*self._muon, self._adamw)
        # The groups are the parts' own, so that a scheduler which sets their rates reaches the parts.
        super().__init__([group for part in self._parts for group in part.param_groups], {})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of all parameters."""
        loss = closure() if closure else None
        self._adamw.step()
        for rank, part in enumerate(self._muon):
            if rank == self._rank:
                part.step()
        if self._count > 1:
            for rank, part in enumerate(self._muon):
                _share(part, rank)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of all parts."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore all parts."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


@torch.no_grad()
def _share(muon: torch.optim.Optimizer, owner: int) -> None:
    """Give all processes the matrices that one has moved, and their momentum, which every checkpoint holds."""
    matrices = [matrix for group in muon.param_groups for matrix in group["params"]]
    momenta = [muon.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix)) for matrix in matrices]
    shared = [*matrices, *momenta]
    whole = torch.cat([one.flatten() for one in shared])
    dist.broadcast(whole, owner)
    for one, part in zip(shared, torch.split(whole, [one.numel() for one in shared]), strict=True):
        one.copy_(part.view_as(one))
