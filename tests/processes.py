"""Jobs in several processes that train together, started with the environment that ``torchrun`` gives its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path

import torch

from guessing import LookUp, configured
from lookup import FIND, task_set
from understudy.cli.main import main
from understudy.errors import InputError
from understudy.jsonl import write_json
from understudy.task import Task
from understudy.training import grpo_trainer
from understudy.training.grpo import grpo
from understudy.training.rollouts import TaskSet, collect

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["understudy.cli.main", "understudy.training.grpo", "understudy.training.sft"])


def launch(count, job, *arguments):
    """Run a job in so many processes to the end of all, or of the first that fails; exit codes and what was printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} if count > 1 else {}
    log = Path(arguments[0]).with_suffix(".log")
    log.unlink(missing_ok=True)
    processes = [_forks.Process(target=_work, args=(rank, world, log, job, arguments)) for rank in range(count)]
    for process in processes:
        process.start()
    try:
        while any(process.is_alive() for process in processes) and not any(process.exitcode for process in processes):
            assert wait([process.sentinel for process in processes if process.is_alive()], timeout=240), log.read_text()
    finally:
        for process in processes:
            process.kill()
            process.join()
    return [process.exitcode for process in processes], log.read_text()


def _work(rank, world, log, job, arguments):
    for number in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), number)
    if world:
        os.environ.update(world, RANK=str(rank), LOCAL_RANK=str(rank))
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    job(rank, *arguments)


def command(rank, out, *arguments):
    """The command line."""
    sys.argv = ["understudy", *map(str, arguments), "--out", str(out)]
    main()


def stumble(rank, *arguments):
    """GRPO whose second process is killed, a while after the first is through, before it has written its first file."""
    save = torch.save

    def killed(state, path, *rest, **options):
        if Path(path).name == "rng_state_1.pth":
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        save(state, path, *rest, **options)

    torch.save = killed
    optimise(rank, *arguments)


def optimise(rank, out, model, changes, kill_at=None, resume=False):
    """GRPO, with all rollouts remembered; the main process may kill itself."""
    rollouts = []

    async def remember(names, *rest):
        batch = await collect(names, *rest)
        rollouts.append([[*name, trace.tokens.completion] for name, trace in zip(names, batch.traces, strict=True)])
        return batch

    def kill(progress):
        if progress.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    grpo_trainer.collect = remember
    grpo_trainer._TOGETHER = 400 * (rank + 1)  # so processes differ in the number of forward passes
    config, given = configured(model, **changes), task_set(12)
    # Each answer twice, in neighbours: whatever letter is guessed, each of two processes has one task right.
    asked = [Task(id=f"v{at}", question="Which?", answers=(letter,)) for at, letter in enumerate("aabbccdd")]
    validation = TaskSet.of(asked, {task.id: (FIND,) for task in asked})
    try:
        result = grpo(config, out, given, LookUp(broken="a"), validation, on_progress=kill, resume=resume)
    except InputError as error:
        sys.exit(str(error))
    write_json(out / f"rollouts-{rank}.json", rollouts)
    write_json(out / f"result-{rank}.json", result.model_dump(mode="json"))
