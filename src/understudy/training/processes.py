"""Work in several processes of this machine: one job in all, which train together, or many jobs dealt out to them.

They are for models of the lab's size, on the CPU. Such a model gains little from threads, which wait for each other in
every small operation, on a busy machine many times as long as they work; processes meet once an optimiser step. They
are forked from a server, which has imported the libraries if it was told to (``prepare``), and so start at once; and
they end with the process that started them, whatever ends it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, forkserver
from typing import Any, TypeVar

import torch

from understudy.errors import UnderstudyError

Job = TypeVar("Job")
Hear = Callable[[Any], None]
_Pipe = connection.Connection

_CONTEXT: Any = multiprocessing.get_context("forkserver")


def prepare(module: str) -> None:
    """Begin to import a module in the server that processes are forked from, beside what this process does next."""
    _CONTEXT.set_forkserver_preload([module])
    heeded = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the server inherits: Ctrl-C is for this process
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, heeded)


def train_together(count: int, job: Callable[..., None], *arguments: object, hear: Hear) -> None:
    """Run a job to its end in processes that train together, as ``torchrun`` does.

    Args:
        count: how many; each has one thread.
        job: called as ``job(tell, *arguments)`` in each; a function that a module holds under its name.
        arguments: of the job; they are pickled.
        hear: called here with everything that the first process tells.

    Raises:
        UnderstudyError, OSError: as the job raised it.
        RuntimeError: a process failed in another way; its traceback.
    """
    with (
        tempfile.TemporaryDirectory() as place,
        _running(count, _train, count, f"{place}/meeting", job, arguments) as processes,
    ):
        for _, said in _heard(processes):
            hear(said)


def deal(
    count: int, ready: Callable[..., Callable[[Job], object]], *arguments: object, jobs: Sequence[Job], hear: Hear
) -> None:
    """Have jobs done by processes that take one after the other.

    Args:
        count: how many processes, of one thread each.
        ready: called once in each as ``ready(*arguments)``; what it returns does a job.
        arguments: of ``ready``.
        jobs: in the order in which they are begun.
        hear: called here with what each job returns, as soon as it does.

    Raises:
        UnderstudyError: as a job raised it.
        RuntimeError: a process failed in another way; its traceback.
    """
    waiting = list(reversed(jobs))
    with _running(min(count, len(waiting)), _serve, ready, arguments) as processes:
        for pipe in processes:
            _send(pipe, waiting.pop())
        for pipe, said in _heard(processes):
            hear(said)
            _send(pipe, waiting.pop() if waiting else None)


@contextmanager
def _running(count: int, work: Callable[..., None], *arguments: object) -> Iterator[dict[_Pipe, Any]]:
    """Processes by the pipe to each; whatever happens, none is left behind."""
    processes: dict[_Pipe, Any] = {}
    try:
        for rank in range(count):
            ours, theirs = _CONTEXT.Pipe()
            processes[ours] = _CONTEXT.Process(target=_begin, args=(theirs, work, rank, arguments))
            processes[ours].start()
            theirs.close()
        yield dict(processes)
    finally:
        started = [process for process in processes.values() if process.pid is not None]
        for process in started:
            process.kill()
        for process in started:
            process.join()


def _heard(processes: dict[_Pipe, Any]) -> Iterator[tuple[_Pipe, Any]]:
    """What processes say, until all have ended or one has failed."""
    while processes:
        for pipe in connection.wait(list(processes)):
            assert isinstance(pipe, _Pipe)  # noqa: S101 (we wait for nothing else)
            try:
                error, said = pipe.recv()
            except (EOFError, ConnectionError):
                process = processes.pop(pipe)
                process.join()
                if process.exitcode:
                    raise RuntimeError(f"a process ended with exit code {process.exitcode}") from None
                continue
            if error is not None:
                raise error
            yield pipe, said


def _send(pipe: _Pipe, said: object) -> None:
    """Say something, if there still is somebody to hear it."""
    with suppress(ConnectionError):
        pipe.send(said)


def _begin(pipe: _Pipe, work: Callable[..., None], rank: int, arguments: Sequence[Any]) -> None:
    """In a new process: end with the one that started this, leave Ctrl-C to it, use one thread, and say what fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 (we are a child)
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    torch.set_num_threads(1)
    try:
        work(pipe, rank, *arguments)
    except UnderstudyError as error:
        _send(pipe, (error, None))
    except OSError as error:  # made anew, as not every subclass can be pickled
        _send(pipe, (OSError(error.errno, error.strerror or str(error), error.filename), None))
    except Exception:
        _send(pipe, (RuntimeError(traceback.format_exc()), None))


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _train(pipe: _Pipe, rank: int, count: int, meeting: str, job: Callable[..., None], arguments: Any) -> None:
    if count > 1:
        os.environ |= {"WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
        # Accelerate wants an address, though the group is there already; gloo would listen where the host's name leads.
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}
        torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count)
    job((lambda said: pipe.send((None, said))) if rank == 0 else (lambda _: None), *arguments)


def _serve(pipe: _Pipe, rank: int, ready: Callable[..., Callable[[Any], object]], arguments: Any) -> None:
    work = ready(*arguments)
    while (job := pipe.recv()) is not None:
        pipe.send((None, work(job)))
