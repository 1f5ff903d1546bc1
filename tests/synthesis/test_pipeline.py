"""Synthesis as a whole: outcomes, determinism, resume, and what it refuses."""

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
from filmteacher import FilmTeacher, contents, film_tasks, run
from understudy.errors import InputError, MissingExtraError, ModelError, OutageError, ThresholdError
from understudy.synthesis.pipeline import SynthesisSettings, synthesise
from understudy.synthesis.store import OUTCOMES, RunFolder
from understudy.task import Task

REASONS = {"duplicate": 10, "simulator_failure": 10, "unfinished": 10, "wrong_answer": 10}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of an unbroken run over 100 tasks."""
    path = tmp_path_factory.mktemp("whole")
    run(path, 100)
    return path


def outcomes(path: Path) -> list[str]:
    return [orjson.loads(line)["task_id"] for name in OUTCOMES for line in (path / name).read_bytes().splitlines()]


def test_every_task_ends_in_exactly_one_file(whole):
    assert sorted(outcomes(whole)) == [task.id for task in film_tasks(100)]
    summary = orjson.loads((whole / "summary.json").read_bytes())
    assert {key: summary[key] for key in ("tasks", "kept", "rejected", "failed")} == {
        "tasks": 100,
        "kept": 55,
        "rejected": 30,
        "failed": 15,
    }
    assert summary["reasons"] == REASONS


def test_failures_name_class_attempts_and_one_line(whole):
    failures = [orjson.loads(line) for line in (whole / "failures.jsonl").read_bytes().splitlines()]
    by_task = {failure["task_id"]: failure for failure in failures}
    assert by_task["task-00005"] == {
        "task_id": "task-00005",
        "class": "ModelError",
        "message": "no toolset for task-00005",
        "attempts": 2,
    }
    assert by_task["task-00011"]["class"] == "KeyError"


def test_traces_carry_the_prompts_of_the_teacher(whole):
    assert all(trace.provenance.prompts == {"toolmaker": "abc"} for trace in RunFolder(whole).traces())


@pytest.mark.parametrize("jitter", [1, 2])
def test_the_order_of_arrival_changes_nothing_but_the_order_of_records(whole, tmp_path, jitter):
    run(tmp_path, 100, jitter=jitter, concurrency=13)
    assert contents(tmp_path) == contents(whole)
    assert outcomes(tmp_path) != outcomes(whole)
    first, second = RunFolder(whole).records("rejected.jsonl"), RunFolder(tmp_path).records("rejected.jsonl")
    assert [record["task_id"] for record in first] == [record["task_id"] for record in second]


def test_load_gives_every_task_that_has_a_trace(whole):
    prepared = RunFolder(whole).load()
    assert len(prepared.tasks) == 75  # kept, wrong and simulator failures; no failures, no duplicates
    assert len(RunFolder(whole).load(kept_only=True).tasks) == 55
    assert [task.id for task in prepared.tasks] == sorted(prepared.toolsets) == sorted(prepared.worlds)
    task = prepared.tasks[4]
    assert prepared.worlds[task.id].facts[0].object == f"Director {int(task.id[-5:])}"
    traces = {trace.task_id: trace for trace in RunFolder(whole).traces()}
    assert prepared.toolsets["task-00004"] == traces["task-00004"].toolset
    assert prepared.worlds["task-00004"].id == traces["task-00004"].world_id
    assert len((whole / "tools.jsonl").read_text().splitlines()) == 5


def test_resuming_a_finished_run_does_nothing(whole):
    before = {file.name: file.read_bytes() for file in whole.glob("*.jsonl")}
    summary, teacher = run(whole, 100, resume=True)
    assert teacher.prepared == []
    assert summary.tasks == 100
    assert summary.reasons == REASONS
    assert before == {file.name: file.read_bytes() for file in whole.glob("*.jsonl")}


def test_a_folder_cut_at_any_byte_resumes_to_the_same_set(whole, tmp_path):
    draw = random.Random(0)
    for file in sorted(whole.glob("*.jsonl")):
        data = file.read_bytes()
        for cut in (0, len(data) - 1, draw.randrange(len(data)), draw.randrange(len(data))):
            for other in whole.iterdir():
                if other.is_file():
                    (tmp_path / other.name).write_bytes(other.read_bytes())
            (tmp_path / file.name).write_bytes(data[:cut])
            run(tmp_path, 100, resume=True)
            assert contents(tmp_path) == contents(whole), (file.name, cut)


def test_a_killed_run_resumes_to_the_same_set(whole, tmp_path):
    """SIGKILL at random moments until the run gets through: nothing lost, nothing twice."""
    draw, kills = random.Random(1), 0
    program = [sys.executable, filmteacher.__file__, str(tmp_path), "100"]
    while True:
        child = subprocess.Popen(program, env={**os.environ, "PYTHONPATH": str(Path(filmteacher.__file__).parent)})
        deadline = time.monotonic() + 30
        grown = size(tmp_path) + draw.randrange(1, 100_000)
        while child.poll() is None and size(tmp_path) < grown and time.monotonic() < deadline:
            time.sleep(0.001)
        if child.poll() is not None:
            assert child.returncode == 0
            break
        child.send_signal(signal.SIGKILL)
        child.wait()
        kills += 1
    assert kills
    assert contents(tmp_path) == contents(whole)


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("*.jsonl"))


def test_a_full_disk_is_one_line_and_loses_nothing(whole, tmp_path):
    limit = size(whole) // 6
    run_limited = (
        "import resource, sys; from pathlib import Path; import filmteacher\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "from understudy.errors import InputError\n"
        "try: filmteacher.run(Path(sys.argv[1]), 100)\n"
        "except InputError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(filmteacher.__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", run_limited, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "can't write (file too large); free space" in done.stdout
    run(tmp_path, 100, resume=True)
    assert contents(tmp_path) == contents(whole)


def test_another_runs_folder_is_refused_without_resume(whole):
    with pytest.raises(InputError, match="another run's results; add --resume"):
        run(whole, 100)


def test_a_changed_configuration_is_refused_with_one_line_per_key(whole):
    with pytest.raises(InputError) as refused:
        run(whole, 100, resume=True, config={"seed": 3, "limits": {"max_turns": 2}, "model": "m"})
    lines = str(refused.value).splitlines()
    assert "  seed: was 0, now 3" in lines
    assert "  limits.max_turns: was 8, now 2" in lines
    assert "  model: was None, now 'm'" in lines


def test_free_keys_may_change_on_resume(whole):
    run(whole, 100, resume=True, concurrency=3)


def test_results_without_a_configuration_are_refused(tmp_path):
    (tmp_path / "traces.jsonl").touch()
    for resume in (False, True):
        with pytest.raises(InputError, match=r"holds traces.jsonl but no config.json"):
            run(tmp_path, 1, resume=resume)


def test_a_second_writer_is_refused(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.start({}, resume=False)
        with pytest.raises(InputError, match="another process is writing"):
            RunFolder(tmp_path).start({}, resume=True)
    with RunFolder(tmp_path) as folder:
        folder.start({}, resume=True)


def test_deleting_the_failures_makes_them_owed(tmp_path):
    run(tmp_path, 20)
    (tmp_path / "failures.jsonl").unlink()
    summary, teacher = run(tmp_path, 20, resume=True)
    assert set(teacher.prepared) == {"task-00005", "task-00011", "task-00015"}
    assert (summary.tasks, summary.failed) == (20, 3)


async def synthesised(path: Path, tasks, teacher=None, on_progress=None, **settings):
    with RunFolder(path) as folder:
        folder.start({}, resume=False)
        return await synthesise(tasks, teacher or FilmTeacher(), folder, SynthesisSettings(**settings), on_progress)


async def test_too_many_failures_exceed_their_threshold(tmp_path):
    with pytest.raises(ThresholdError, match=r"max_failed: 3 of 20 tasks failed; 10\.0% are allowed"):
        await synthesised(tmp_path, film_tasks(20), max_failed=0.1)
    assert (tmp_path / "summary.json").exists()


async def test_two_tasks_with_one_id_are_refused_and_what_was_done_stays(tmp_path):
    tasks = [*film_tasks(3), Task(id="task-00001", question="Another?", answers=("x",))]
    with pytest.raises(InputError, match="task id 'task-00001' appears twice"):
        await synthesised(tmp_path, tasks, concurrency=1)
    assert len(outcomes(tmp_path)) == 3


async def test_a_missing_extra_ends_the_run(tmp_path):
    class Bare(FilmTeacher):
        async def prepare(self, task, seed):
            raise MissingExtraError("x", "y")

    with pytest.raises(MissingExtraError):
        await synthesised(tmp_path, film_tasks(3), Bare())
    assert outcomes(tmp_path) == []


async def test_an_outage_ends_the_run_and_owes_what_was_under_way(tmp_path):
    class Going(FilmTeacher):
        async def prepare(self, task, seed):
            if len(self.prepared) == 10:
                raise OutageError("no server")
            return await super().prepare(task, seed)

    with pytest.raises(OutageError, match="no server"):
        await synthesised(tmp_path, film_tasks(20), Going(), concurrency=3)
    assert 5 < len(outcomes(tmp_path)) < 20
    assert b"no server" not in (tmp_path / "failures.jsonl").read_bytes()
    assert not (tmp_path / "summary.json").exists()


async def test_a_summary_of_an_earlier_state_does_not_outlive_it(tmp_path):
    await synthesised(tmp_path, film_tasks(6))
    (tmp_path / "failures.jsonl").unlink()
    with RunFolder(tmp_path) as folder:
        folder.start({}, resume=True)
        await synthesise(film_tasks(8), FilmTeacher(), folder, SynthesisSettings())
    assert orjson.loads((tmp_path / "summary.json").read_bytes())["tasks"] == 8


async def test_a_policy_that_gives_up_is_tried_again_and_then_fails(tmp_path):
    class Weak(FilmTeacher):
        def open(self, task, toolset, seed):
            raise ModelError("out of quota")

    teacher = Weak()
    summary = await synthesised(tmp_path, film_tasks(1), teacher, attempts=3)
    assert summary.failed == 1
    assert len(teacher.prepared) == 3
    failure = orjson.loads((tmp_path / "failures.jsonl").read_bytes())
    assert (failure["class"], failure["message"], failure["attempts"]) == ("policy_error", "out of quota", 3)


async def test_progress_is_told_after_every_task(tmp_path):
    told = []
    await synthesised(tmp_path, list(film_tasks(20)), on_progress=told.append)
    assert [progress.done for progress in told] == list(range(1, 21))
    assert (told[-1].kept, told[-1].rejected, told[-1].failed) == (11, 6, 3)


async def test_tasks_are_read_only_as_fast_as_work_is_done(tmp_path):
    read, finished, most = 0, 0, 0

    def stream():
        nonlocal read, most
        for task in film_tasks(100):
            read += 1
            most = max(most, read - finished)
            yield task

    def count(progress):
        nonlocal finished
        finished = progress.done

    await synthesised(tmp_path, stream(), FilmTeacher(jitter=0), on_progress=count, concurrency=5)
    assert most <= 5


async def test_an_interrupted_run_keeps_what_is_done(tmp_path):
    def stop(progress):
        if progress.done == 30:
            task.cancel()

    task = asyncio.create_task(synthesised(tmp_path, film_tasks(100), FilmTeacher(jitter=0), on_progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(outcomes(tmp_path)) >= 30
