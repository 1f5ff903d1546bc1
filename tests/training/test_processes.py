"""Jobs in several processes: what is heard of them, what fails, and that none is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs import add_ranks, dying, fail, multiplying
from understudy.errors import InputError, MissingExtraError
from understudy.training.processes import deal, train_together


def test_processes_train_together_and_the_first_is_heard():
    heard = []
    train_together(2, add_ranks, 10, hear=heard.append)
    assert heard == [(0, 30, 1)]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (InputError("no such file"), InputError, "^no such file$"),
        (PermissionError(13, "Permission denied", "/x"), PermissionError, "Permission denied: '/x'"),
        (MissingExtraError("x", "y"), MissingExtraError, "x is not installed"),
        (ValueError("a defect"), RuntimeError, "Traceback(.|\n)*ValueError: a defect"),
        (None, RuntimeError, "ended with exit code -9"),
    ],
)
def test_the_first_failure_ends_all(rank, error, raised, message):
    started = time.monotonic()
    with pytest.raises(raised, match=message):
        train_together(2, fail, error, rank, hear=lambda _: None)
    assert time.monotonic() - started < 60


def test_jobs_go_to_whoever_is_free():
    heard = []
    deal(2, multiplying, 10, jobs=[1, 2, 3, 4, 5], hear=heard.append)
    assert sorted(result for _, result in heard) == [10, 20, 30, 40, 50]
    (slow,) = (pid for pid, result in heard if result == 10)
    assert [result for pid, result in heard if pid == slow] == [10]  # it sleeps while the other does the rest
    assert len({pid for pid, _ in heard}) == 2


def test_a_job_that_fails_is_raised():
    with pytest.raises(InputError, match="a zero"):
        deal(2, multiplying, 10, jobs=[0], hear=lambda _: None)


def test_a_worker_that_dies_is_named():
    with pytest.raises(RuntimeError, match="ended with exit code -9"):
        deal(2, dying, jobs=[1, 2, 3], hear=lambda _: None)


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes under /proc")
def test_processes_end_with_the_one_that_started_them(tmp_path):
    code = (
        "from jobs import sleeping\nfrom understudy.training.processes import deal\n"
        f"if __name__ == '__main__': deal(2, sleeping, {str(tmp_path)!r}, jobs=[1, 2], hear=print)"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, script], env=env) as starter:
        pids = eventually(
            lambda: len(found := [int(p.name) for p in tmp_path.iterdir() if p.name.isdigit()]) == 2 and found
        )
        starter.kill()
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def eventually(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
