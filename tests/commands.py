"""The ``understudy`` command in processes of its own, and what can be asked of a folder afterwards."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.cli.main import main

SETTINGS = {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
ENVIRONMENT = {**os.environ, **SETTINGS}
OUTCOMES = ("traces.jsonl", "rejected.jsonl", "failures.jsonl")

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""

_forks = multiprocessing.get_context("forkserver")


class Command:
    """The command in a process of its own, forked from one that has the heavy libraries imported already.

    Args:
        arguments: of the command.
        largest: bytes that no file may grow beyond, as on a full disk; None for no such limit.
    """

    def __init__(self, *arguments: object, largest: int | None = None) -> None:
        self._files = [Path(tempfile.mkstemp(prefix="understudy-")[1]) for _ in range(2)]
        self._arguments = tuple(map(str, arguments))
        paths = [str(path) for path in self._files]
        self._process = _forks.Process(target=_main, args=(self._arguments, *paths, largest))
        self._process.start()

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    def kill(self) -> None:
        """SIGKILL: nothing can be put in order."""
        self._process.kill()

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end."""
        self._process.join(300)
        code = self._process.exitcode
        assert code is not None, f"still running: {self._arguments}"
        self._process.close()
        out, err = (path.read_text() for path in self._files)
        for path in self._files:
            path.unlink()
        return subprocess.CompletedProcess(self._arguments, code, out, err)


def start_forking() -> None:
    """Import the heavy libraries once, for all commands of this test session."""
    _forks.set_forkserver_preload(["understudy.cli.main", "understudy.cli.stages", "pyarrow.parquet"])
    Command("--help").wait()


def run(*arguments: object, largest: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; arguments as those of ``Command``."""
    return Command(*arguments, largest=largest).wait()


def _main(arguments: tuple[str, ...], out: str, err: str, largest: int | None) -> None:
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY), number)
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    sys.stdin = open(os.devnull)  # noqa: SIM115 (for as long as the process lives)
    sys.argv = ["understudy", *arguments]
    main()


def start_as_user(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the command with nothing imported."""
    command = [sys.executable, "-m", "understudy", *map(str, arguments)]
    return subprocess.Popen(
        command, env=env or ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=_heeds_ctrl_c,
    )  # fmt: skip


def _heeds_ctrl_c() -> None:
    """Where the tests themselves run in the background, the shell has SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_as_user(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command with nothing imported, to its end."""
    with start_as_user(*arguments, env=env) as child:
        out, err = child.communicate(timeout=120)
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def without(folder: Path, *packages: str) -> dict[str, str]:
    """An environment in which these packages are not installed."""
    (folder / "sitecustomize.py").write_text(WITHOUT.format(names=set(packages)))
    return {**ENVIRONMENT, "PYTHONPATH": str(folder)}


def records(path: Path) -> list[dict[str, Any]]:
    """The records of a JSONL file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def outcomes(folder: Path) -> dict[str, list[str]]:
    """File → ids of the tasks that ended there."""
    return {name: [record["task_id"] for record in records(folder / name)] for name in OUTCOMES}


def timeless(value: Any) -> Any:
    """Without what differs between two equal runs: times, and nothing else."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if not _is_time(key)}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def contents(folder: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """JSONL files as sets of records: in any order, without times."""
    return {name: sorted(json.dumps(timeless(record)) for record in records(folder / name)) for name in names}


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but locks."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def one_line(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """The error of a command that ended with ``code``, which must be one line."""
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


def _is_time(key: str) -> bool:
    return key in ("seconds", "step_time") or key.startswith("seconds/") or key.endswith(("_runtime", "_per_second"))


def run_killed(*arguments: object, size: Callable[[], int], stride: int) -> int:
    """Run a command that resumes, killed whenever its files have grown by up to ``stride`` bytes; return the kills."""
    draw, kills = random.Random(0), 0
    while True:
        enough = size() + draw.randrange(1, stride)
        command = Command(*arguments)
        while command.running and size() < enough:
            time.sleep(0.002)
        command.kill()
        if command.wait().returncode == 0:
            return kills
        kills += 1
