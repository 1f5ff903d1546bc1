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
from understudy.tools.faults import FaultSettings


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
    """System message of every conversation; empty for the one that the model was trained with, if any."""

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


class WatchSettings(Config):
    """What a batch of rollouts may not exceed. One that does is a warning; several in a row end the run.

    A start is that of the first batch.
    """

    patience: int = Field(default=5, ge=0)
    """Batches in a row that exceed a threshold, whichever, after which training ends. 0 only warns."""

    entropy: float = Field(default=0.001, ge=0)
    """Entropy of the policy, in nats per token, below which it has stopped exploring; unless its answers are right."""

    growth: float = Field(default=4.0, gt=1)
    """Times its start to which entropy, or sampled tokens per rollout, may rise."""

    kl: float = Field(default=1.0, gt=0)
    """Divergence in nats per token: from the model that training started from (``kl``) if ``beta`` is above 0, else
    from the policy that sampled the batch (``sampling/kl``)."""

    clipped: float = Field(default=0.3, gt=0, le=1)
    """Share of tokens whose ratio is clipped."""

    flat: float = Field(default=0.95, ge=0, le=1)
    """Share of groups whose rewards are all equal; unless the answers are right."""

    broken: float = Field(default=0.3, gt=0, le=1)
    """Rise, over its start, of the share of turns that are malformed, or of calls that are invalid."""

    fall: float = Field(default=0.5, gt=0, le=1)
    """Share of its best by which the reward, a mean of five batches, may fall."""


class GrpoConfig(TrainConfig):
    """Settings of GRPO; the defaults are the design's for a 7B model."""

    tasks: str = ""
    """A run folder of ``synth``: its questions, toolsets and worlds, also of those whose traces were rejected."""

    simulator: Simulator | None = None
    """Who answers calls; unset for whoever did in the run folder."""

    endpoint: ModelsSettings | None = None
    """The ToolActor's chat model, for ``simulator = "endpoint"``; unset for that of the run folder."""

    judge: ModelsSettings | None = None
    """A chat model that judges traces, as one more term of the reward (``weights.judge``); unset for none."""

    validation: int = Field(default=128, gt=0)
    """Held-out tasks that are measured, at most."""

    steps: int = Field(default=200, gt=0)
    """Batches of rollouts."""

    prompts: int = Field(default=256, gt=0)
    """Tasks per batch, over all devices."""

    generations: int = Field(default=5, gt=1)
    """Rollouts per task: the group whose mean is the baseline."""

    refill: int = Field(default=0, ge=0)
    """Rounds, at most, in which groups whose rewards are all equal are replaced by other tasks before the update
    (dynamic sampling); 0 never. A round costs the rollouts of the groups that it replaces."""

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

    watch: WatchSettings = WatchSettings()
    """When a run is warned about, and when it is ended."""

    faults: FaultSettings | None = None
    """Faults and noise that are put into the tools; unset for none."""

    engine: Literal["auto", "static", "generate", "trl", "vllm-server"] = "auto"
    """Who samples: ``static`` (small models on a CPU), ``generate`` (any), or whichever fits; ``trl``: what TRL samples
    with (``trainer.use_vllm = true`` for a colocated vLLM); ``vllm-server``: a server of its own."""

    vllm: VllmSettings | None = None
    """The server, for ``engine = "vllm-server"``."""

    validate_every: int = Field(default=25, gt=0)
    """Batches between two validations, where there are validation tasks."""

    @model_validator(mode="after")
    def _tables_match(self) -> Self:
        if (self.engine == "vllm-server") != (self.vllm is not None):
            raise ValueError('engine = "vllm-server" needs the table vllm, with url; no other engine has one')
        if self.judge and not self.weights.judge:
            raise ValueError("judge: what it says has no weight; set weights.judge")
        return self
