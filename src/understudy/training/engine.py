"""Generation engines: who turns tokens into sampled tokens, for many rollouts at once and without a barrier.

A rollout opens a slot and asks it for one turn at a time; between turns it waits for its tools while others are
sampled. What a slot samples depends on its own tokens and its own random numbers only, never on who shares a batch
(up to the rounding of floating-point sums).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 (the customary name)

from understudy.errors import InputError


@dataclass(frozen=True, slots=True)
class Completion:
    """Sampled tokens, the stop token included if it came, and their log-probabilities under the sampler.

    Log-probabilities are natural, with the temperature applied; greedy sampling reports those at temperature 1.
    """

    ids: list[int]
    logprobs: list[float]


class Slot(Protocol):
    """One conversation in an engine."""

    async def sample(self, new_ids: Sequence[int], max_tokens: int, generator: np.random.Generator) -> Completion:
        """Append ``new_ids``, then sample until the stop token or ``max_tokens``; sampled tokens are appended too.

        ``max_tokens`` random numbers are drawn from ``generator``, however many are used.
        """
        ...

    def close(self) -> None:
        """Give the place back. Closing twice is fine; whoever still waits for tokens is cancelled."""
        ...


class Engine(Protocol):
    """A model that generates."""

    @property
    def context(self) -> int:
        """Tokens that a slot can hold."""
        ...

    def open(self, temperature: float) -> Slot:
        """Start a conversation; temperature 0 is greedy.

        The model's weights must not change while any slot is open.
        """
        ...


class PendingTurn:
    """A turn that is being sampled: its random numbers, and who waits for it. Base of both engines' slots."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature
        self.uniform = np.zeros(0, dtype=np.float32)
        self._future: asyncio.Future[Completion] | None = None

    def begin(self, held: int, max_tokens: int, context: int, generator: np.random.Generator) -> Awaitable[Completion]:
        """Draw the turn's random numbers.

        Raises:
            InputError: there is nothing to read or to sample, or it is more than the context holds.
        """
        if held < 1 or max_tokens < 1 or held + max_tokens > context:
            raise InputError(f"can't sample {max_tokens} tokens after {held}; the context holds {context}")
        self.uniform = uniforms(generator, max_tokens)
        self._future = asyncio.get_running_loop().create_future()
        return self._future

    def finish(self, completion: Completion) -> None:
        """Hand the turn to who waits for it."""
        if self._future is not None and not self._future.done():
            self._future.set_result(completion)

    def fail(self, error: Exception) -> None:
        """Raise to who waits."""
        if self._future is not None and not self._future.done():
            self._future.set_exception(error)

    def abandon(self) -> None:
        """Cancel who still waits."""
        if self._future is not None:
            self._future.cancel()


def uniforms(generator: np.random.Generator, count: int) -> np.ndarray:
    """The random numbers of one turn: float32 in [0, 1), one a token."""
    return generator.random(count, dtype=np.float32)


def draw(logits: torch.Tensor, temperatures: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample one token a row by inverting the cumulative distribution.

    Args:
        logits: float32, shape (rows, vocabulary).
        temperatures: shape (rows,); 0 is greedy.
        uniform: random numbers in [0, 1), shape (rows,).

    Returns:
        Token ids (rows,) and their log-probabilities (rows,).
    """
    greedy = temperatures == 0
    logprobs = F.log_softmax(logits / temperatures.masked_fill(greedy, 1.0)[:, None], -1)
    cumulative = logprobs.exp().cumsum(-1)
    target = uniform[:, None] * cumulative[:, -1:]  # the last sum is 1 only up to rounding
    ids = torch.searchsorted(cumulative, target, right=True).clamp_(max=logits.shape[1] - 1)
    if bool(greedy.any()):
        ids = torch.where(greedy[:, None], logits.argmax(-1, keepdim=True), ids)
    return ids[:, 0], logprobs.gather(1, ids)[:, 0]
