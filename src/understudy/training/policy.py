"""A model as a policy, token-exact: what it sampled is what its trace records and what training trains on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from understudy.contract import ToolContract
from understudy.grammar import fault
from understudy.protocols import Sample
from understudy.task import Task
from understudy.trace import Fault, Observation, Tokens
from understudy.training.decoder import supports
from understudy.training.engine import Engine, Slot
from understudy.training.generate import GenerateEngine
from understudy.training.models import load_model, make_renderer
from understudy.training.render import Renderer
from understudy.training.static import StaticEngine

SMALL = 50_000_000
"""Parameters up to which the static engine is chosen by itself: beyond, arithmetic outweighs what it saves."""


def engine_for(
    model: Any, stop_id: int, kind: Literal["auto", "static", "generate"] = "auto", rows: int = 64
) -> Engine:
    """An engine for a model: static for small ones on the CPU, else Hugging Face generate.

    Raises:
        InputError: ``static`` was asked for, and can't run this model.
    """
    if kind == "static" or (kind == "auto" and supports(model) and model.num_parameters() <= SMALL):
        return StaticEngine(model, stop_id, rows)
    return GenerateEngine(model, stop_id, rows)


class ModelPolicy:
    """Samples turns from an engine.

    Args:
        engine: where tokens come from.
        renderer: of the same model.
        temperature: 0 is greedy.
        max_turn_tokens: a turn that is not over by then ends the rollout (``max_tokens``).
        name: how provenance names it.
        max_context: tokens of a whole rollout; None for what the engine holds.
    """

    def __init__(
        self,
        engine: Engine,
        renderer: Renderer,
        temperature: float = 1.0,
        max_turn_tokens: int = 512,
        name: str = "model",
        max_context: int | None = None,
    ) -> None:
        self.engine, self.renderer = engine, renderer
        self.temperature, self.max_turn_tokens = temperature, max_turn_tokens
        self.max_context = min(max_context or engine.context, engine.context)
        self._name = name

    @property
    def name(self) -> str:
        """How provenance names it."""
        return self._name

    @property
    def prompts(self) -> Mapping[str, str]:
        """Prompts of the renderer, by which records tell that the model speaks plain-text ReAct."""
        return self.renderer.prompts

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> ModelSession:
        """Start a rollout. The model sees the question and the tools."""
        return ModelSession(self, self.renderer.prompt(task.question, toolset), seed)


def load_policy(
    path: str, template: str = "", temperature: float = 0.0, max_turn_tokens: int = 512, rows: int = 64
) -> ModelPolicy:
    """A saved model as a policy, greedy unless told otherwise.

    Its name ends in a hash of the weights if they are in a folder, so that records of other weights are told apart.

    Args:
        path: folder or hub id of the model.
        template: chat template: empty for the model's own, ``lab``, or a jinja file.
        temperature: of sampling.
        max_turn_tokens: tokens of one turn.
        rows: rollouts that are sampled at a time.

    Raises:
        InputError: the model or the template can't be read.
    """
    model, tokenizer = load_model(path)
    renderer = make_renderer(tokenizer, template)
    engine = engine_for(model, renderer.end_id, rows=rows)
    return ModelPolicy(engine, renderer, temperature, max_turn_tokens, f"{path}{_digest(Path(path))}")


def _digest(folder: Path) -> str:
    files = sorted(folder.glob("*.safetensors"))
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as weights:
            whole.update(hashlib.file_digest(weights, "sha256").digest())
    return f"@{whole.hexdigest()[:12]}" if files else ""


class ModelSession:
    """One rollout: an engine's slot, the random numbers, and the tokens so far."""

    def __init__(self, policy: ModelPolicy, prompt: list[int], seed: int) -> None:
        self._policy, self._prompt = policy, prompt
        self._slot: Slot | None = None
        self._generator = np.random.default_rng(seed)
        self._turns = 0
        self._completion: list[int] = []
        self._mask: list[int] = []
        self._logprobs: list[float] = []

    async def step(self, observations: Sequence[Observation]) -> Sample:
        """Give the next turn after ``observations`` (empty at first)."""
        policy = self._policy
        new = policy.renderer.suffix(observations) if self._turns else self._prompt
        used = len(self._prompt) + len(self._completion) + (len(new) if self._turns else 0)
        room = min(policy.max_turn_tokens, policy.max_context - used)
        if room < 1:
            detail = f"{used} tokens leave no room in a context of {policy.max_context}"
            return Sample(fault(Fault.TRUNCATED, detail, ""), prompted=len(new), truncated=True)
        if self._turns:
            self._append(new, [0.0] * len(new), 0)
        else:
            self._slot = policy.engine.open(policy.temperature)
        assert self._slot is not None  # noqa: S101 (opened in the first step)
        sampled = await self._slot.sample(new, room, self._generator)
        self._append(sampled.ids, sampled.logprobs, 1)
        outcome = policy.renderer.parse(sampled.ids, self._turns)
        self._turns += 1
        truncated = sampled.ids[-1] != policy.renderer.end_id
        return Sample(outcome, sampled=len(sampled.ids), prompted=len(new), truncated=truncated)

    def tokens(self) -> Tokens | None:
        """The exact tokens so far; None before anything was sampled."""
        if not self._completion:
            return None
        # Not validated again: these are a hundred thousand numbers a second, and ours.
        return Tokens.model_construct(
            prompt=tuple(self._prompt),
            completion=tuple(self._completion),
            mask=tuple(self._mask),
            logprobs=tuple(self._logprobs),
        )

    def close(self) -> None:
        """Give the slot back."""
        if self._slot is not None:
            self._slot.close()

    def _append(self, ids: Sequence[int], logprobs: Sequence[float], sampled: int) -> None:
        self._completion += ids
        self._logprobs += logprobs
        self._mask += [sampled] * len(ids)
