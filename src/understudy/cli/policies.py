"""Policies as configurations name them. Torch is imported once a local model is asked for, and not before."""

from __future__ import annotations

from contextlib import AsyncExitStack

from understudy.agents.autoagent import AutoAgent
from understudy.errors import InputError, needs_extra
from understudy.evaluation.controls import NoOp
from understudy.evaluation.settings import EvalConfig, PolicyKind, PolicySettings, ToolsetKind
from understudy.llm.endpoint import Endpoint
from understudy.protocols import Policy
from understudy.teachers.ceiling import GoldPolicy, SupportPolicy
from understudy.teachers.evidence import EvidencePolicy
from understudy.teachers.retrieve import RetrievePolicy


def open_policy(config: EvalConfig, open_things: AsyncExitStack) -> Policy:
    """The policy of an evaluation; for the rest see ``make_policy``."""
    return make_policy(config.policy, config.tools.toolset, config.concurrency, open_things)


def make_policy(
    settings: PolicySettings, toolset: ToolsetKind, concurrency: int, open_things: AsyncExitStack
) -> Policy:
    """The policy that settings name.

    Args:
        settings: the table ``policy``.
        toolset: what it will be offered.
        concurrency: rollouts at a time.
        open_things: closes what has been opened.

    Raises:
        InputError: a key or a model is missing, or the policy can't use the toolset.
        MissingExtraError: a local model needs packages that are not installed.
    """
    if settings.kind in (PolicyKind.MODEL, PolicyKind.LAB):
        return _local(settings, concurrency)
    if settings.kind is PolicyKind.ENDPOINT and settings.endpoint:
        model = Endpoint(settings.endpoint)
        open_things.push_async_callback(model.aclose)
        return AutoAgent(model, settings.form, settings.temperature, settings.max_turn_tokens)
    if settings.kind is PolicyKind.EVIDENCE and toolset is ToolsetKind.EVIDENCE:
        return EvidencePolicy(detours=0.0)
    if settings.kind in (PolicyKind.EVIDENCE, PolicyKind.RETRIEVE):
        if toolset is not ToolsetKind.SEARCH:
            raise InputError(f'policy.kind = "{settings.kind}" needs tools.toolset = "search"')
        return SupportPolicy() if settings.kind is PolicyKind.EVIDENCE else RetrievePolicy()
    return GoldPolicy() if settings.kind is PolicyKind.GOLD else NoOp()


def _local(settings: PolicySettings, concurrency: int) -> Policy:
    with needs_extra("train"):
        from understudy.lab.base.model import weights_dir
        from understudy.training.policy import load_policy
    is_lab = settings.kind is PolicyKind.LAB
    return load_policy(
        settings.model or str(weights_dir()),
        "lab" if is_lab else settings.template,
        settings.temperature,
        settings.max_turn_tokens,
        concurrency,
    )
