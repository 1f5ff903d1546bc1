"""``understudy grpo``: stage 2, on the questions of a run, with simulated tools."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from understudy.agents.judge import Judge
from understudy.agents.toolactor import ToolActor
from understudy.cli.train import (
    ConfigOption,
    DryRunOption,
    ResumeOption,
    SetOption,
    finish,
    is_main,
    settings,
    started_from,
    tell,
    training,
)  # fmt: skip
from understudy.errors import InputError, ThresholdError, needs_extra
from understudy.jsonl import read_json
from understudy.lab.teacher import ScriptedModel
from understudy.llm.ledger import REQUESTS
from understudy.llm.models import Models, ModelsSettings, free_keys
from understudy.llm.protocol import ChatModel, Role
from understudy.protocols import ToolSource
from understudy.synthesis.store import CONFIG, RunFolder
from understudy.task import Task
from understudy.teachers.evidence import EvidenceTeacher
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox
from understudy.training.settings import GrpoConfig, Simulator

VERDICTS = "judge.jsonl"


def command(
    config: ConfigOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the model and all else.")] = Path("runs/grpo"),
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    set_: SetOption = None,
) -> None:
    """Optimise a model by reward on rollouts with simulated tools (stage 2)."""
    given = settings(GrpoConfig, config, set_)
    with needs_extra("train"):
        from understudy.training.grpo import grpo, grpo_arguments
        from understudy.training.rollouts import TaskSet
    if not given.tasks:
        raise InputError("tasks is missing: a run folder of synth")
    folder = RunFolder(Path(given.tasks))
    asked = folder.load()
    given = with_simulator(given, folder)
    train, held_out = split(asked.tasks, given)
    if not train:
        raise InputError(f"{given.tasks}: nothing to train on")
    arguments = grpo_arguments(given, out)
    if dry_run:
        tell({
            "model": given.model,
            "tasks": f"{len(train)} of {given.tasks}",
            "validation": len(held_out),
            "tools": len({contract.key() for task in train for contract in asked.toolsets[task.id]}),
            "simulator": given.endpoint.model if given.endpoint else given.simulator,
            "judge": given.judge.model if given.judge else "none",
            "batches": given.steps,
            "rollouts": f"{given.prompts} × {given.generations} a batch",
            "optimiser steps": arguments.max_steps,
            "trains": f"adapters of rank {given.lora.r}" if given.lora else "every weight",
            "learning rate": f"{given.lr:g}, {given.optimizer}, {given.schedule}",
        })  # fmt: skip
        return
    free = ("simulator", "vllm", "watch", *free_keys("endpoint"), *free_keys("judge"))
    with training(given, out, resume, free, reward="reward", em="em", validation="validation/em") as show:
        open_things = AsyncExitStack()
        result = grpo(
            started_from(given),
            out,
            TaskSet.of(train, asked.toolsets, asked.worlds),
            open_tools(given, out, open_things),
            TaskSet.of(held_out, asked.toolsets, asked.worlds) if held_out else None,
            show,
            resume,
            open_things,
            Judge(open_model(given.judge, Role.JUDGE, out / VERDICTS, open_things)) if given.judge else None,
        )
    finish(given, "grpo", given.tasks, result, out)
    if result.stopped and is_main():  # another process that failed would have the launcher end this one
        raise ThresholdError(
            f"{out}: ended after batch {result.steps}, {result.stopped}; model/ is of batch {result.best_step}"
        )


def split(tasks: Sequence[Task], config: GrpoConfig) -> tuple[list[Task], list[Task]]:
    """Tasks to train on, and those to choose the weights on."""
    held_out = [task for task in tasks if config.holds_out(task.id)]
    return [task for task in tasks if not config.holds_out(task.id)], held_out[: config.validation]


def with_simulator(config: GrpoConfig, folder: RunFolder) -> GrpoConfig:
    """The configuration with its simulator named: where it isn't, that of the run whose tasks are trained on.

    Raises:
        InputError: neither names one, or an endpoint is not described.
    """
    path = folder.path / CONFIG
    made = read_json(path) if path.exists() else {}
    kind = config.simulator or (Simulator.ENDPOINT if config.endpoint else made.get("teacher"))
    if kind is None:
        raise InputError(f"{path}: doesn't say who answered calls; set simulator to {', '.join(Simulator)}")
    endpoint = config.endpoint
    if kind == Simulator.ENDPOINT and endpoint is None:
        if not made.get("endpoint"):
            raise InputError('simulator = "endpoint" needs the table endpoint, with base_url and model')
        endpoint = ModelsSettings.model_validate(made["endpoint"])
    return config.model_copy(update={"simulator": Simulator(kind), "endpoint": endpoint})


def open_tools(config: GrpoConfig, out: Path | None, open_things: AsyncExitStack) -> ToolSource:
    """Who answers calls; what is opened is left to the stack to close. Requests are accounted for in ``out``, if given.

    Raises:
        InputError: a key is missing, or the disk refuses.
    """
    if config.simulator is Simulator.EVIDENCE:
        return EvidenceTeacher().tools
    actor: ChatModel = ScriptedModel(config.seed)
    if config.simulator is Simulator.ENDPOINT and config.endpoint:
        actor = open_model(config.endpoint, Role.TOOLACTOR, out and out / REQUESTS, open_things)
    return Toolbox(SimulatedTools(ToolActor(actor)))


def open_model(settings: ModelsSettings, role: Role, paid: Path | None, open_things: AsyncExitStack) -> ChatModel:
    """A role's model; what is opened is left to the stack to close.

    Args:
        settings: where it is.
        role: whose it is.
        paid: file of what was paid for, written by the main process; None for none.
        open_things: gets what has to be closed.

    Raises:
        InputError: a key is missing, or the disk refuses.
    """
    models = Models(settings, paid if is_main() else None)
    open_things.push_async_exit(models)
    if models.ledger:
        open_things.enter_context(models.ledger)
    return models[role]
