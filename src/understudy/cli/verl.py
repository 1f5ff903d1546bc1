"""What verl's configuration names to play our rollouts: ``_target_: understudy.cli.verl.loop``."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.cli.grpo import open_tools, split, with_simulator
from understudy.config import load_config
from understudy.errors import InputError
from understudy.synthesis.store import RunFolder
from understudy.training.settings import GrpoConfig

if TYPE_CHECKING:
    from understudy.training.verl_loop import Play, RolloutLoop


def loop(settings: str, **verl: Any) -> RolloutLoop:
    """A loop of verl's for one rollout.

    Args:
        settings: a configuration of ``understudy grpo``, with ``tasks``; a path that all of verl's workers can read.
        verl: what verl gives to every loop.
    """
    from understudy.training.verl_loop import RolloutLoop

    return RolloutLoop(play=play(settings), **verl)


@cache
def play(settings: str) -> Play:
    """Tasks, tools and settings of a configuration, once for all loops of a process.

    Raises:
        InputError: it can't be used.
    """
    from understudy.training.rollouts import TaskSet
    from understudy.training.verl_loop import Play

    given = load_config(GrpoConfig, Path(settings))
    if not given.tasks:
        raise InputError(f"{settings}: tasks is missing, a run folder of synth")
    folder = RunFolder(Path(given.tasks))
    given, asked = with_simulator(given, folder), folder.load()
    # Verl has no moment at which a worker closes what it opened: clients live as long as the process.
    tools = open_tools(given, None, AsyncExitStack())
    return Play(TaskSet.of(asked.tasks, asked.toolsets, asked.worlds), tools, given)


def write_rows(settings: str, out: str) -> None:
    """Write ``train.parquet`` and ``validation.parquet`` for verl: a configuration's tasks, split as ``grpo`` does.

    Args:
        settings: as of ``loop``.
        out: an existing folder.
    """
    from understudy.training.verl_loop import write_rows

    played = play(settings)
    for name, tasks in zip(("train", "validation"), split([*played.given.tasks.values()], played.config), strict=True):
        write_rows(tasks, Path(out) / f"{name}.parquet")
