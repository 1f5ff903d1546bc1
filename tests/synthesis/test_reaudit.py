"""Auditing a run again gives what a run with the other settings would have given, and asks nobody."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

import filmteacher
from filmteacher import FilmTeacher, contents, film_tasks
from understudy.checks.leak import Oracles
from understudy.errors import InputError
from understudy.synthesis.audit import AuditSettings
from understudy.synthesis.dataset import export_dataset
from understudy.synthesis.pipeline import FREE_KEYS, SynthesisSettings, synthesise
from understudy.synthesis.reaudit import audit_settings, reaudit
from understudy.synthesis.store import OUTCOMES, RunFolder

COUNT = 60
LENIENT = AuditSettings.model_validate({"ignore": ["wrong_answer", "ungrounded_answer"]})
STRICT = AuditSettings(max_characters=160)


def run(path: Path, audit: AuditSettings | None = None, resume: bool = False) -> FilmTeacher:
    settings, teacher = SynthesisSettings(audit=audit or AuditSettings()), FilmTeacher()
    with RunFolder(path) as folder:
        folder.start(settings.model_dump(mode="json"), resume, FREE_KEYS)
        asyncio.run(synthesise(film_tasks(COUNT), teacher, folder, settings))
    return teacher


def outcomes(path: Path) -> list[str]:
    return sorted(
        orjson.loads(line)["task_id"] for name in OUTCOMES for line in (path / name).read_bytes().splitlines()
    )


def summary(path: Path) -> dict[str, object]:
    value = orjson.loads((path / "summary.json").read_bytes())
    return {key: value[key] for key in ("tasks", "kept", "rejected", "failed", "reasons", "one_call")}


@pytest.mark.parametrize("settings", [LENIENT, STRICT])
def test_it_gives_what_a_run_with_these_settings_gives(tmp_path: Path, settings: AuditSettings) -> None:
    run(tmp_path / "first")
    done = reaudit(RunFolder(tmp_path / "first"), settings)
    run(tmp_path / "second", settings)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert summary(tmp_path / "first") == summary(tmp_path / "second")
    assert done.kept == summary(tmp_path / "second")["kept"]
    assert (done.freed > 0, done.dropped > 0) == (settings is LENIENT, settings is STRICT)
    assert (tmp_path / "first" / "config.json").read_bytes() == (tmp_path / "second" / "config.json").read_bytes()


def test_there_and_back_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path)
    before, figures = contents(tmp_path), summary(tmp_path)
    reaudit(RunFolder(tmp_path), STRICT)
    assert contents(tmp_path) != before
    reaudit(RunFolder(tmp_path), AuditSettings())
    assert (contents(tmp_path), summary(tmp_path)) == (before, figures)


def test_the_run_can_be_resumed_with_the_new_settings_alone(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "failures.jsonl").write_bytes(b"")
    reaudit(RunFolder(tmp_path), STRICT)
    with pytest.raises(InputError, match=r"audit.max_characters: was 160, now 32000"):
        run(tmp_path, resume=True)
    assert {int(task_id[-5:]) % 10 for task_id in run(tmp_path, STRICT, resume=True).prepared} == {1, 5}
    assert outcomes(tmp_path) == [task.id for task in film_tasks(COUNT)]


def test_traces_of_tasks_that_are_refused_now_are_kept_for_later(tmp_path: Path) -> None:
    run(tmp_path)
    rows = tmp_path / "dev.jsonl"
    tasks = [task for task in film_tasks(COUNT) if int(task.id[-5:]) < 20]
    rows.write_bytes(b"\n".join(orjson.dumps({"question": task.question, "answer": task.answers[0]}) for task in tasks))
    reaudit(RunFolder(tmp_path), AuditSettings(benchmarks=(str(rows),)))
    records = {record["task_id"]: record for record in RunFolder(tmp_path).records("rejected.jsonl")}
    assert records["task-00004"]["reasons"] == ["contaminated"]
    assert records["task-00004"]["trace"]
    assert outcomes(tmp_path) == [task.id for task in film_tasks(COUNT)]
    reaudit(RunFolder(tmp_path), AuditSettings())
    assert "task-00004" in {trace.task_id for trace in RunFolder(tmp_path).traces()}


def test_tasks_without_a_trace_stay_rejected_and_are_counted(tmp_path: Path) -> None:
    run(tmp_path)
    done = reaudit(RunFolder(tmp_path), AuditSettings.model_validate({"ignore": ["duplicate"]}))
    assert done.without_trace == COUNT // 10
    assert outcomes(tmp_path) == [task.id for task in film_tasks(COUNT)]


def test_a_crash_on_the_way_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr(Oracles, "add", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        reaudit(RunFolder(tmp_path), STRICT)
    assert contents(tmp_path) == before
    assert audit_settings(RunFolder(tmp_path)) == AuditSettings()


def test_a_data_set_of_other_traces_is_removed(tmp_path: Path) -> None:
    run(tmp_path)
    export_dataset(RunFolder(tmp_path))
    reaudit(RunFolder(tmp_path), STRICT)
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize(("config", "problem"), [(None, "no such file"), ("{}", "holds no audit settings")])
def test_other_folders_are_refused(tmp_path: Path, config: str | None, problem: str) -> None:
    if config:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=problem):
        audit_settings(RunFolder(tmp_path))


def test_a_kill_at_any_moment_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    run(tmp_path)
    old = contents(tmp_path)
    reaudit(RunFolder(tmp_path), STRICT)
    new = contents(tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "from understudy.synthesis.audit import AuditSettings\n"
        "from understudy.synthesis.reaudit import reaudit\n"
        "from understudy.synthesis.store import RunFolder\n"
        "print('begins', flush=True)\n"
        "while True:\n"
        "    reaudit(RunFolder(Path(sys.argv[1])), AuditSettings(max_characters=160))\n"
        "    reaudit(RunFolder(Path(sys.argv[1])), AuditSettings())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(filmteacher.__file__).parent)}
    draw, seen = random.Random(0), []
    for _ in range(4):
        arguments = [sys.executable, "-c", code, str(tmp_path)]
        with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE) as child:
            child.stdout.readline()  # type: ignore[union-attr]
            time.sleep(draw.random() * 0.2)
            child.send_signal(signal.SIGKILL)
        assert list(RunFolder(tmp_path).records("traces.jsonl"))  # a reader finishes what was committed
        found = contents(tmp_path)
        assert found in (old, new)
        strict = audit_settings(RunFolder(tmp_path)) == STRICT
        assert strict == (found == new)
        seen.append(strict)
    reaudit(RunFolder(tmp_path), AuditSettings())
    assert contents(tmp_path) == old
