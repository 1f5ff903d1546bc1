"""Jobs for other processes, which find them by the name of this module."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from understudy.errors import InputError


def add_ranks(tell, factor):
    mine = torch.tensor([factor * (torch.distributed.get_rank() + 1)])
    torch.distributed.all_reduce(mine)
    tell((torch.distributed.get_rank(), mine.item(), torch.get_num_threads()))


def fail(tell, error, rank):
    tell("begun")
    if torch.distributed.get_rank() == rank:
        if error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise error
    time.sleep(600)  # nobody waits for it


def multiplying(factor):
    pid = os.getpid()

    def work(job):
        if job == 0:
            raise InputError("a zero")
        time.sleep(0.3 if job == 1 else 0)
        return pid, factor * job

    return work


def dying():
    os.kill(os.getpid(), signal.SIGKILL)


def sleeping(folder):
    def work(job):
        (Path(folder) / str(os.getpid())).touch()
        time.sleep(600)

    return work
