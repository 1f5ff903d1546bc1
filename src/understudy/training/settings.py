"""Settings of both stages. No torch here, so that a configuration can be checked where nothing can be trained."""

from __future__ import annotations

from enum import StrEnum
from random import Random
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from understudy.config import Config
from understudy.llm.models import ModelsSettings
from understudy.llm.retry import Patience
from understudy.reward.composite import Weights
from understudy.rollout import Limits
from understudy.seed import derive_seed


class LoraSettings(Config):
    """Low-rank adapters (LoRA, arXiv 2106.09685) instead of training every weight."""

    r: int = Field(default=16, gt=0)
    """Rank."""

    alpha: float = Field(default=32, gt=0)
    """The adapters' output is scaled by ``alpha / r``."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the adapters' inputs that is zeroed in training."""

    targets: tuple[str, ...] = ("all-linear",)
    """Names of the layers that get adapters; ``all-linear`` for all linear ones but the output head."""

    merge: bool = True
    """Whether ``model/`` is the whole model, adapters merged in; else it holds the adapters alone."""


class TrainConfig(Config):
    """Settings that SFT and GRPO share. Anything else of TRL's is reached through ``trainer``."""

    model: str
    """Folder or hub id of the model to start from; the commands take ``lab`` for the lab's base."""

    template: str = ""
    """Chat template: empty for the model's own, ``lab``, or a jinja file."""

    system: str = ""
    """System message of every conversation."""

    lr: float = Field(gt=0)
    """Peak learning rate."""

    schedule: str = "linear"
    """How the learning rate falls after warm-up: any scheduler name of transformers (linear, cosine, constant …)."""

    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""

    optimizer: Literal["adamw", "muon"] = "adamw"
    """``adamw``, or ``muon`` for the matrices (updates scaled to AdamW's size) and AdamW for the rest."""

    lora: LoraSettings | None = None
    """Train adapters only; unset to train every weight."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""

    held_out: float = Field(default=0.1, ge=0, lt=1)
    """Share of the tasks that measure and choose, and are not trained on; 0 keeps the last weights. With one seed, both
    stages hold out the same tasks."""

    seed: int = 0
    """Of everything random."""

    save_every: int = Field(default=50, ge=0)
    """Steps between checkpoints; 0 keeps none."""

    report_to: tuple[str, ...] = ()
    """Trackers that TRL knows (wandb, tensorboard, trackio …); ``metrics.jsonl`` is always written."""

    trainer: dict[str, Any] = Field(default_factory=dict)
    """Any argument of the TRL trainer by its own name; wins over everything above."""

    @model_validator(mode="after")
    def _adapters_have_adamw(self) -> Self:
        if self.lora and self.optimizer == "muon":
            raise ValueError('optimizer = "muon" is for whole matrices; with lora, use "adamw"')
        return self

    def holds_out(self, task_id: str) -> bool:
        """Whether a task is held out; follows from the seed and its id alone."""
        return Random(derive_seed(self.seed, "held out", task_id)).random() < self.held_out


class SftConfig(TrainConfig):
    """Settings of SFT; the defaults are the design's for a 7B model."""

    traces: str = ""
    """A run folder of ``synth``, or a data set with ``messages`` and ``tools``."""

    lr: float = Field(default=5e-6, gt=0)
    """Peak learning rate."""

    epochs: float = Field(default=2.0, gt=0)
    """Passes over the traces."""

    batch_size: int = Field(default=16, gt=0)
    """Traces per step on each device; a step of several devices takes as many from each."""

    max_length: int = Field(default=8192, gt=0)
    """Longer traces are left out, never cut: a cut trace would teach to stop early."""


class Simulator(StrEnum):
    """Who plays the tools."""

    ENDPOINT = "endpoint"
    """The ToolActor on an OpenAI-compatible endpoint."""
    EVIDENCE = "evidence"
    """Annotations, in code; for what ``synth --teacher evidence`` made."""
    SCRIPTED = "scripted"
    """The ToolActor on the lab's scripted model, in this process."""


class VllmSettings(Patience):
    """A vLLM server that samples for training."""

    url: str = Field(pattern=r"^https?://[^\s/]+/?$")
    """The server's root, as in ``http://localhost:8000``."""

    model: str = ""
    """The model's name there; empty for the one that training starts from."""


class GrpoConfig(TrainConfig):
    """Settings of GRPO; the defaults are the design's for a 7B model."""

    tasks: str = ""
    """A run folder of ``synth``: its questions, toolsets and worlds, also of those whose traces were rejected."""

    simulator: Simulator | None = None
    """Who answers calls; unset for whoever did in the run folder."""

    endpoint: ModelsSettings | None = None
    """The ToolActor's chat model, for ``simulator = "endpoint"``; unset for that of the run folder."""

    validation: int = Field(default=128, gt=0)
    """Held-out tasks that are measured, at most."""

    steps: int = Field(default=200, gt=0)
    """Batches of rollouts."""

    prompts: int = Field(default=256, gt=0)
    """Tasks per batch, over all devices."""

    generations: int = Field(default=5, gt=1)
    """Rollouts per task: the group whose mean is the baseline."""

    minibatches: int = Field(default=1, gt=0)
    """Optimiser steps that a batch of rollouts is split into."""

    iterations: int = Field(default=1, gt=0)
    """Passes over a batch of rollouts."""

    micro_batch: int = Field(default=0, ge=0)
    """Rollouts per forward pass on each device; 0 takes a whole minibatch at once."""

    lr: float = Field(default=1e-6, gt=0)
    """Peak learning rate."""

    schedule: str = "constant"
    """How the learning rate falls after warm-up."""

    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""

    temperature: float = Field(default=1.0, gt=0)
    """Of sampling, and of the log-probabilities that are trained."""

    beta: float = Field(default=0.001, ge=0)
    """Weight of the KL divergence from the model that training started from; 0 needs no second model."""

    epsilon: float = Field(default=0.2, gt=0)
    """Clip range of the probability ratio."""

    max_turn_tokens: int = Field(default=512, gt=0)
    """Tokens of one turn."""

    max_context: int | None = None
    """Tokens of a whole rollout, prompt included; None for what the model holds."""

    limits: Limits = Limits(max_turns=5)
    """Turns, faults, sampled tokens and seconds of a rollout."""

    weights: Weights = Weights()
    """Of the reward's parts."""

    shuffle_rewards: bool = False
    """Deal the rewards of each group out among its rollouts at random: a control, from which nothing can be learnt."""

    engine: Literal["auto", "static", "generate", "trl", "vllm-server"] = "auto"
    """Who samples: ``static`` (small models on a CPU), ``generate`` (any), or whichever fits; ``trl``: what TRL samples
    with (``trainer.use_vllm = true`` for a colocated vLLM); ``vllm-server``: a server of its own."""

    vllm: VllmSettings | None = None
    """The server, for ``engine = "vllm-server"``."""

    validate_every: int = Field(default=25, gt=0)
    """Batches between two validations, where there are validation tasks."""

    @model_validator(mode="after")
    def _a_server_is_named(self) -> Self:
        if (self.engine == "vllm-server") != (self.vllm is not None):
            raise ValueError('engine = "vllm-server" needs the table vllm, with url; no other engine has one')
        return self
