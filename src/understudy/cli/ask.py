"""``understudy ask``: one question to a trained model, told while it happens."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from pydantic import model_validator
from rich.console import Console

from understudy.cli.policies import make_policy
from understudy.cli.train import LAB
from understudy.cli.watching import Watched, tell
from understudy.config import Config, load_config
from understudy.errors import InputError
from understudy.evaluation.settings import PolicyKind, PolicySettings, ToolSettings
from understudy.evaluation.toolkit import open_toolkit
from understudy.jsonl import write_json
from understudy.lab.parsing import parse
from understudy.lab.serve import serve
from understudy.lab.teacher import ScriptedModel
from understudy.rollout import Limits, rollout
from understudy.seed import derive_seed
from understudy.task import Task
from understudy.trace import Trace


class Simulator(StrEnum):
    """Who plays tools without a key."""

    LAB = "lab"


class Tools(StrEnum):
    """What can be said of tools where nobody answers calls."""

    NONE = "none"


class AskConfig(Config):
    """What ``understudy ask`` does. Its options fill this in; ``--set`` changes the rest."""

    policy: PolicySettings
    """Who is asked: an endpoint, a local model, or the lab's."""

    tools: ToolSettings
    """What it can call, and who answers."""

    limits: Limits = Limits(max_turns=5)
    """Of the rollout."""

    seed: int = 0
    """Of everything that is drawn."""

    @model_validator(mode="after")
    def _is_about_one_question(self) -> Self:
        if self.policy.kind not in (PolicyKind.ENDPOINT, PolicyKind.MODEL, PolicyKind.LAB):
            raise ValueError(f'policy.kind = "{self.policy.kind}" can\'t be asked: it is no model')
        if self.tools.prepared is not None:
            raise ValueError("tools.prepared: the tools of other questions don't fit; they are made for this one")
        return self


def command(
    model: Annotated[
        str,
        typer.Argument(help="Folder or Hub id of a model, lab for the shipped base; with --base-url, its name there."),
    ],
    question: Annotated[str, typer.Argument(help="What to ask.")],
    base_url: Annotated[str | None, typer.Option(help="The model's OpenAI-compatible endpoint, up to /v1.")] = None,
    simulator_url: Annotated[
        str | None, typer.Option(help="Endpoint of a chat model that makes tools for the question and plays them.")
    ] = None,
    simulator_model: Annotated[str | None, typer.Option(help="That model's name there.")] = None,
    simulator: Annotated[
        Simulator | None, typer.Option(help="Let the lab's scripted model do that, for the lab's questions.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Live search: a file of passages, an index, or a retrieval server's URL.")
    ] = None,
    tools: Annotated[Tools | None, typer.Option(help="Offer no tools.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the whole trace to this file.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting as key=value.")] = None,
) -> None:
    """Ask a model one question, and show what it thinks, calls and sees on the way to its answer."""
    if not question.strip():
        raise InputError("the question is empty")
    ways = {
        "--simulator-url URL": simulator_url,
        "--simulator lab": simulator,
        "--search PLACE": search,
        "--tools none": tools,
    }
    if len(said := [way for way, given in ways.items() if given]) != 1:
        raise InputError(f"say who answers calls, by one of {', '.join(ways)}; said: {', '.join(said) or 'none'}")
    if bool(simulator_url) != bool(simulator_model):
        raise InputError("--simulator-url and --simulator-model go together")
    if simulator and parse(question) is None:
        raise InputError(
            "--simulator lab plays tools for the lab's own questions alone, worded as those of "
            "recipes/questions/lab.jsonl; for others, name a chat model by --simulator-url and --simulator-model"
        )
    with ExitStack() as served:
        offered: dict[str, Any] = {"source": "none"}
        if search:
            offered = {"source": "live", "toolset": "search", "search": _search(search)}
        elif simulator_url:
            offered = {"simulator": {"base_url": simulator_url, "model": simulator_model}}
        elif simulator:  # over HTTP like any other, but its answers are free, and need not be kept
            lab = ScriptedModel()
            endpoint = {"base_url": served.enter_context(serve(lab)), "model": lab.name, "cache": "off"}
            # It knows nothing by heart, so its tools find only what its FactDrafter made up.
            offered = {"facts": "drafted", "simulator": endpoint}
        config = load_config(AskConfig, None, set_ or (), {"policy": _policy(model, base_url), "tools": offered})
        trace = asyncio.run(ask(config, question, Console(highlight=False)))
    if json:
        write_json(json, trace.model_dump(mode="json"))


async def ask(config: AskConfig, question: str, console: Console) -> Trace:
    """Ask one question, and tell it on a console while it happens.

    Raises:
        InputError: a key, a model, passages or an index is missing.
        ModelError: no tools could be made for the question.
        OutageError: a server is gone.
    """
    task = Task(id="ask", question=question, answers=("",))  # nobody knows one, and nothing here looks
    async with AsyncExitStack() as open_things:
        status = open_things.enter_context(console.status("loading"))
        toolkit = await open_toolkit(config.tools, config.seed, None, open_things)
        policy = make_policy(config.policy, config.tools.toolset, 1, open_things)
        status.update("making tools")
        toolset, world = await toolkit.prepare(task)
        tell(console, "asked", f"{policy.name} · tools: {toolkit.source.name} · facts: {world.facts_from}")
        tell(console, "offered", ", ".join(contract.name for contract in toolset) or "nothing")
        status.update("asking")
        watched, seed = Watched(policy, console), derive_seed(config.seed, task.id)
        trace = await rollout(task, toolset, world, watched, toolkit.source, config.limits, seed)
    how = f"{trace.stop}: {trace.detail}" if trace.detail else str(trace.stop)
    made = len(trace.calls())
    tell(console, "stop", f"{how} · {made} call{'' if made == 1 else 's'} · {trace.provenance.seconds:.1f} s")
    return trace


def _policy(model: str, base_url: str | None) -> dict[str, Any]:
    if base_url:
        return {"kind": "endpoint", "endpoint": {"base_url": base_url, "model": model}}
    return {"kind": "lab"} if model == LAB else {"kind": "model", "model": model}


def _search(place: str) -> dict[str, Any]:
    if place.startswith(("http://", "https://")):
        return {"kind": "http", "url": place}
    return {"kind": "disk" if Path(place).is_dir() else "memory", "path": place}
