"""`understudy validate`: problems by file and line."""

import shutil

import orjson
import pytest

from filmteacher import run
from handmade import BORN, DIRECTOR, failed, trace
from understudy.errors import InputError
from understudy.grammar import fault
from understudy.synthesis.dataset import export_dataset
from understudy.synthesis.rows import to_row
from understudy.synthesis.store import RunFolder
from understudy.synthesis.validate import Problem, validate
from understudy.trace import Fault, Status, Stop


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole")
    run(path, 20)
    export_dataset(RunFolder(path))
    return path


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def edit(path, number, change):
    """Replace line ``number`` (from 1) of a file by what ``change`` makes of its record."""
    lines = path.read_bytes().splitlines()
    lines[number - 1] = orjson.dumps(change(orjson.loads(lines[number - 1])))
    path.write_bytes(b"\n".join(lines) + b"\n")


def test_a_run_and_its_files_are_valid(whole):
    for path in (whole, whole / "dataset", whole / "traces.jsonl", next((whole / "dataset").rglob("*.parquet"))):
        found = validate(path)
        assert (found.traces, found.problems) == (11, [])


def test_rejected_traces_are_checked_and_refused_tasks_passed_over(whole):
    found = validate(whole / "rejected.jsonl")
    assert found.traces == 4  # two wrong answers, two simulator failures; two duplicates have no trace
    assert {problem.what.partition(":")[0] for problem in found.problems} == {"unfinished", "simulator_failure"}


def test_every_bad_line_is_named(folder):
    path = folder / "traces.jsonl"
    edit(path, 2, lambda record: record | {"stop": "asleep"})
    edit(path, 3, lambda record: record | {"task_id": orjson.loads(path.read_bytes().splitlines()[0])["task_id"]})
    edit(path, 4, lambda record: [record])
    edit(path, 5, lambda record: {"question": "?"})
    edit(path, 6, lambda record: record | {"steps": record["steps"][:-1]})
    with path.open("ab") as file:
        file.write(b'{"task_id": "x')
    found = validate(path)
    assert [problem.where for problem in found.problems] == [f"traces.jsonl:{n}" for n in (2, 3, 4, 5, 6, 12)]
    whats = [problem.what for problem in found.problems]
    assert whats[0].startswith("stop: Input should be")
    assert "appears twice" in whats[1]
    assert whats[2] == "expected a JSON object"
    assert whats[3].startswith("neither a trace")
    assert whats[4].startswith("unfinished")
    assert "torn" in whats[5]


def test_results_and_calls_are_checked_against_their_contracts(folder):
    def spoil(record):
        record["steps"][0]["turn"]["calls"][0]["arguments"] = {"movie": 1}
        record["steps"][1]["observations"][0]["content"] = {"date": "x"}
        return record

    edit(folder / "traces.jsonl", 1, spoil)
    whats = [problem.what for problem in validate(folder / "traces.jsonl").problems]
    assert any("get_director" in what and "film" in what for what in whats)
    assert any("get_date_of_birth" in what and "date_of_birth" in what for what in whats)


def test_outcomes_that_do_not_add_up_are_named(folder):
    line = (folder / "traces.jsonl").read_bytes().splitlines()[0]
    task_id = orjson.loads(line)["task_id"]
    with (folder / "failures.jsonl").open("ab") as file:
        file.write(orjson.dumps({"task_id": task_id}) + b"\n" + b"{}\n")
    (folder / "toolsets.jsonl").write_bytes(b"")
    whats = [problem.what for problem in validate(folder).problems]
    assert f"task {task_id!r} has two outcomes" in whats
    assert "task_id is missing" in whats
    assert any("damaged" in what for what in whats)


def test_a_data_set_of_other_origin(tmp_path):
    rows = [
        {"messages": to_row(trace(DIRECTOR, BORN))["messages"]},
        to_row(trace(failed(DIRECTOR, Status.INVALID_CALL), answer=None, stop=Stop.MAX_TURNS)),
        to_row(trace(fault(Fault.EMPTY, "the turn is empty", ""), DIRECTOR)),
    ]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    found = validate(path)
    assert found.traces == 3
    assert found.problems[0] == Problem("rows.jsonl:1", "invalid_result: get_director: the tool was not offered")
    assert {problem.where for problem in found.problems} == {f"rows.jsonl:{n}" for n in (1, 2, 3)}


def test_nothing_to_check_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent.jsonl"):
        with pytest.raises(InputError):
            validate(path)
