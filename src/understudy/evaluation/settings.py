"""An evaluation as one configuration: which questions, which policy, which tools, which limits.

The same object with everything resolved and pinned is the run's manifest: what ``understudy eval`` writes beside its
results, and what alone makes the same run again.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from understudy.agents.autoagent import Form
from understudy.config import Config
from understudy.llm.endpoint import FREE_KEYS as ENDPOINT_KEYS
from understudy.llm.endpoint import EndpointSettings
from understudy.llm.models import ModelsSettings, free_keys
from understudy.rollout import Limits
from understudy.scoring import Rule
from understudy.search.retriever import DEFAULT_K
from understudy.tools.faults import FaultRates
from understudy.world import FactsFrom


class QuestionSettings(Config):
    """Which questions are asked."""

    path: str = Field(min_length=1)
    """A question file in any layout that is read, the run folder of a synthesis, or a data set of the Hugging Face Hub
    as ``hf:NAME[:CONFIG][@SPLIT]``."""

    format: str = "auto"
    """Its layout; ``auto`` reads it off the first record."""

    revision: str = ""
    """Branch, tag or commit of a Hub data set; empty for its newest. The manifest has the commit."""

    split: str = ""
    """Ask only the questions of this split, such as ``dev``; empty for all."""

    limit: int | None = Field(default=None, gt=0)
    """Ask at most this many, the first ones."""


class PolicyKind(StrEnum):
    """Who is evaluated."""

    ENDPOINT = "endpoint"
    """The AutoAgent on an OpenAI-compatible endpoint."""
    MODEL = "model"
    """A local model in the format of Hugging Face."""
    LAB = "lab"
    """The lab's tiny model: the shipped base, or a trained one."""
    EVIDENCE = "evidence"
    """Follows annotations: the ceiling of a toolset or of a search."""
    RETRIEVE = "retrieve"
    """Searches and extracts the answer in code: a baseline without a model."""
    GOLD = "gold"
    """Gives the accepted answer: a check of the scorer."""
    NOOP = "noop"
    """Does nothing."""


class PolicySettings(Config):
    """Who answers."""

    kind: PolicyKind
    """Who is evaluated."""

    endpoint: EndpointSettings | None = None
    """Where the model is, for ``endpoint``."""

    form: Form = Form.NATIVE
    """For ``endpoint``: whether tools are called natively or in plain-text ReAct."""

    model: str = ""
    """For ``model``, its folder or Hub id. For ``lab``, a trained model's folder; empty for the shipped base."""

    template: str = ""
    """For ``model``: chat template; empty for its own, ``lab``, or a jinja file."""

    temperature: float = Field(default=0.0, ge=0)
    """Of a model's sampling; 0 is greedy."""

    max_turn_tokens: int = Field(default=1024, gt=0)
    """Tokens that a model may use for one turn."""

    @model_validator(mode="after")
    def _has_its_model(self) -> Self:
        if self.kind is PolicyKind.ENDPOINT and self.endpoint is None:
            raise ValueError('kind = "endpoint" needs the table endpoint')
        if self.kind is PolicyKind.MODEL and not self.model:
            raise ValueError('kind = "model" needs model: a folder or Hub id')
        return self


class RetrieverKind(StrEnum):
    """Who finds passages."""

    MEMORY = "memory"
    """BM25 in memory, over a file of passages."""
    DISK = "disk"
    """BM25 in an index on disk."""
    HTTP = "http"
    """A retrieval server, as Search-R1's users run it."""


class SearchSettings(Config):
    """Live search."""

    kind: RetrieverKind
    """Who finds passages."""

    path: Path | None = None
    """For ``memory``, the file of passages; for ``disk``, the index."""

    url: str = Field(default="", pattern=r"^(https?://[^\s/]+\S*)?$")
    """For ``http``, the server, such as ``http://127.0.0.1:8000/retrieve``."""

    finds: str = ""
    """For ``http``, with what and in what the server searches, such as ``e5-base-v2 in wiki-18``: it doesn't tell by
    itself, and the manifest has to."""

    top_k: int = Field(default=DEFAULT_K, gt=0)
    """Passages that a search returns."""

    @model_validator(mode="after")
    def _has_its_place(self) -> Self:
        if self.kind is RetrieverKind.HTTP and not self.url:
            raise ValueError('kind = "http" needs url')
        if self.kind is not RetrieverKind.HTTP and self.path is None:
            raise ValueError(f'kind = "{self.kind}" needs path')
        return self


class SourceKind(StrEnum):
    """Who answers calls."""

    SIMULATED = "simulated"
    """The ToolActor; for the toolset ``evidence``, the annotations."""
    LIVE = "live"
    """A search that is really made."""
    NONE = "none"
    """Nobody: no tools are offered."""


class ToolsetKind(StrEnum):
    """Which tools are offered."""

    GENERATED = "generated"
    """Made for each question by the ToolMaker, which sees the question alone."""
    SEARCH = "search"
    """One search, under one contract for simulated and live."""
    EVIDENCE = "evidence"
    """Annotated relations; for questions with triples or a decomposition."""


class ToolSettings(Config):
    """What the policy can call, and who answers."""

    source: SourceKind = SourceKind.SIMULATED
    """Who answers calls."""

    toolset: ToolsetKind = ToolsetKind.GENERATED
    """Which tools are offered."""

    facts: FactsFrom = FactsFrom.NONE
    """What the simulator is told: ``none`` (it says what its model knows), ``drafted`` from the question alone, or
    ``evidence`` where a question has it. Only ``none`` and live tools measure what a benchmark asks."""

    simulator: ModelsSettings | None = None
    """The chat models of ToolMaker, FactDrafter and ToolActor. Their answers are kept, so that none is paid twice."""

    search: SearchSettings | None = None
    """The search, for ``live``."""

    faults: FaultRates | None = None
    """Faults and noise that are put into whoever answers; unset for none."""

    prepared: Path | None = None
    """Folder of an earlier evaluation or synthesis whose toolsets and worlds are taken instead of making new ones."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.source is SourceKind.LIVE and (self.toolset is not ToolsetKind.SEARCH or self.search is None):
            raise ValueError('source = "live" needs toolset = "search" and the table search')
        if self.source is SourceKind.SIMULATED and self.toolset is ToolsetKind.EVIDENCE:
            if self.facts is not FactsFrom.EVIDENCE:
                raise ValueError('toolset = "evidence" is answered from annotations; say facts = "evidence"')
        elif self.source is SourceKind.SIMULATED and self.simulator is None:
            raise ValueError('source = "simulated" needs the table simulator: the endpoint that plays the tools')
        return self


class Pins(Config):
    """What a manifest holds its run to. A run fills all in; where one is given and differs, it refuses to start."""

    understudy: str = ""
    """Version that wrote the manifest. Another version may run it."""

    questions: str = ""
    """SHA-256 of the question file; of a run folder or a Hub data set, that of the questions that are asked."""

    ids: tuple[str, ...] = ()
    """The ids of the questions, in order. Given, exactly these are asked."""

    prepared: str = ""
    """SHA-256 of the prepared toolsets and worlds, where they are taken from an earlier run."""

    policy: str = ""
    """Name of the policy; a local model's has a hash of its weights."""

    tools: str = ""
    """Name of the tool source; a retriever's has a hash of its passages."""

    prompts: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of every prompt, by its name."""


class EvalConfig(Config):
    """What ``understudy eval`` does. Resolved and with pins, the manifest of a run."""

    questions: QuestionSettings
    """What is asked."""

    policy: PolicySettings
    """Who answers."""

    tools: ToolSettings
    """What the policy can call."""

    limits: Limits = Limits(max_turns=5)
    """Of each rollout."""

    scorer: Rule | None = None
    """Whose script scores; unset for that of the questions' benchmark, and 2WikiMultiHopQA's for other questions."""

    seed: int = 0
    """Of everything that is drawn."""

    concurrency: int = Field(default=64, gt=0)
    """Questions in work at once. The result does not depend on it."""

    max_failed: float = Field(default=0.1, ge=0, le=1)
    """Share of questions that may be lost to a failing model or simulator; above it the exit code is 3."""

    pins: Pins = Pins()
    """Filled in by the run."""


FREE_KEYS = (
    "concurrency",
    "max_failed",
    *(f"policy.endpoint.{key}" for key in ENDPOINT_KEYS),
    *free_keys("tools.simulator"),
)
"""What may differ when a run is resumed: it changes no result."""
