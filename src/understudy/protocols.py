"""The plugs of the loop: who decides (``Policy``) and who answers calls (``ToolSource``); a ``Teacher`` brings both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from understudy.contract import ToolContract
from understudy.task import Task
from understudy.trace import Call, Observation, ParseFault, Source, Tokens, Turn
from understudy.world import World


@dataclass(frozen=True, slots=True)
class Sample:
    """What one step of a policy gave.

    Attributes:
        outcome: the turn, or how it was malformed.
        sampled: tokens the policy generated in this step (0 when unknown).
        prompted: tokens it read to do so (0 when unknown).
        cost: money in the currency of the price list, 0 when free or unknown.
        truncated: the token limit cut the turn off.
    """

    outcome: Turn | ParseFault
    sampled: int = 0
    prompted: int = 0
    cost: float = 0.0
    truncated: bool = False


class Session(Protocol):
    """One rollout of a policy. May own a key–value cache and the exact tokens."""

    async def step(self, observations: Sequence[Observation]) -> Sample:
        """Give the next turn after ``observations`` (empty at first).

        Raises:
            ModelError: the policy can't go on; the rollout stops as ``policy_error``.
        """
        ...

    def tokens(self) -> Tokens | None:
        """The exact tokens so far, if this policy has them."""
        ...

    def close(self) -> None:
        """Give back what the session holds. Called once, however the rollout ends."""
        ...


class Policy(Protocol):
    """Who decides what to do next."""

    @property
    def name(self) -> str:
        """How provenance names it."""
        ...

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> Session:
        """Start a rollout. Only policies that follow annotations may look beyond ``task.question``."""
        ...


class ToolSource(Protocol):
    """Who answers calls."""

    @property
    def name(self) -> str:
        """How provenance names it."""
        ...

    def source_of(self, contract: ToolContract) -> Source:
        """Where observations of this contract come from; says who is to blame for a failure."""
        ...

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        """Answer a call whose arguments keep the contract.

        Raises:
            ToolError: the tool reports a failure that the policy should see.
            SimulatorError: a simulated tool failed; the policy is not to blame.
        """
        ...


class Teacher(Protocol):
    """What synthesis needs to turn a task into a trace: a toolset and a world for it, and the two plugs."""

    @property
    def name(self) -> str:
        """How summaries and dataset cards name it."""
        ...

    @property
    def policy(self) -> Policy:
        """Who decides, for every task."""
        ...

    @property
    def tools(self) -> ToolSource:
        """Who answers calls, for every task."""
        ...

    @property
    def prompts(self) -> Mapping[str, str]:
        """Prompt file name → hash of its text; empty for a teacher without prompts. Goes into provenance."""
        ...

    async def prepare(self, task: Task, seed: int) -> tuple[tuple[ToolContract, ...], World]:
        """The contracts offered for ``task`` and what is true in its world.

        Called by many tasks at once. All randomness derives from ``seed``.

        Raises:
            UnderstudyError: there is no usable toolset or world; the task is recorded as failed under this class.
        """
        ...


@runtime_checkable
class Prompted(Protocol):
    """What a ``Policy`` or ``ToolSource`` also is when prompts make its behaviour; provenance records them."""

    @property
    def prompts(self) -> Mapping[str, str]:
        """SHA-256 of every prompt it uses, by the prompt's name."""
        ...
