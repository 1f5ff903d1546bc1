"""Traces as data sets, and back without loss."""

import importlib

import datasets
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import understudy.synthesis.dataset as module
from filmteacher import run
from handmade import BORN, DIRECTOR, TASK, trace
from strategies import traces
from understudy.errors import InputError, MissingExtraError
from understudy.synthesis.audit import Finding, Reason
from understudy.synthesis.dataset import export_dataset, read_dataset, read_rows, without_nulls
from understudy.synthesis.rows import from_row, to_row
from understudy.synthesis.store import RunFolder
from understudy.world import World


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run folder of 40 tasks with its data set."""
    path = tmp_path_factory.mktemp("made")
    run(path, 40)
    export_dataset(RunFolder(path), licence="apache-2.0")
    return path


@given(traces())
def test_a_trace_survives_its_row_and_json(value):
    assert from_row(to_row(value)) == value
    assert from_row(orjson.loads(orjson.dumps(to_row(value, system="Be brief.")))) == value


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(traces(), min_size=1, max_size=4))
def test_traces_survive_jsonl_and_parquet(tmp_path_factory, values):
    values = [value.model_copy(update={"task_id": f"t{number}"}) for number, value in enumerate(values)]
    folder = RunFolder(tmp_path_factory.mktemp("folder"))
    with folder:
        folder.start({}, resume=False)
        for value in values:
            folder.keep(TASK.model_copy(update={"id": value.task_id}), World(value.task_id), value)
    assert list(folder.traces()) == values
    assert list(read_dataset(export_dataset(folder))) == values
    rows = folder.path / "rows.jsonl"
    rows.write_bytes(b"\n".join(orjson.dumps(row) for row in read_rows(folder.path / "dataset")))
    assert list(read_dataset(rows)) == values


def test_datasets_loads_what_was_exported(made, tmp_path):
    loaded = datasets.load_dataset(str(made / "dataset"), split="train", cache_dir=str(tmp_path))
    kept = list(RunFolder(made).traces())
    assert len(loaded) == len(kept) == 22
    read = [from_row(row) for row in loaded]
    assert [(value.task_id, value.steps, value.toolset) for value in read] == [
        (value.task_id, value.steps, value.toolset) for value in kept
    ]
    assert [value.provenance.seed for value in read] == [value.provenance.seed for value in kept]
    call = loaded[0]["messages"][1]["tool_calls"][0]["function"]
    assert call == {"name": "get_director", "arguments": {"film": "Film 0"}}
    assert loaded[0]["tools"][0]["function"]["return"]["required"] == ["director"]


def test_nulls_that_arrow_adds_are_dropped(tmp_path):
    row = {key: to_row(trace(DIRECTOR, BORN))[key] for key in ("messages", "tools")}
    datasets.Dataset.from_list([row]).to_parquet(str(tmp_path / "struct.parquet"))
    struct = next(read_rows(tmp_path / "struct.parquet"))
    assert from_row(struct).steps == trace(DIRECTOR, BORN).steps
    assert without_nulls({"a": None, "b": [{"c": None, "d": 1}]}) == {"b": [{"d": 1}]}


def test_exporting_again_replaces(made):
    before = (made / "dataset" / "README.md").read_text()
    export_dataset(RunFolder(made), licence="apache-2.0")
    assert (made / "dataset" / "README.md").read_text() == before
    assert len(list((made / "dataset" / "data").iterdir())) == 1


def test_the_card_states_counts_provenance_and_versions(made):
    text = (made / "dataset" / "README.md").read_text()
    for part in (
        "license: apache-2.0",
        "22 complete traces",
        "22 traces were kept, 12 rejected by the audit, and for 6 tasks none could be made",
        "| wrong_answer | 4 |",
        "| policy: films | 22 |",
        "| facts: evidence | 22 |",
        "| toolmaker | `abc` |",
        f"datasets {datasets.__version__}",
    ):
        assert part in text


def test_a_run_that_kept_nothing_has_no_data_set(tmp_path):
    folder = RunFolder(tmp_path)
    with folder:
        folder.start({}, resume=False)
        folder.reject(TASK, [Finding(Reason.DUPLICATE, "of x")])
    with pytest.raises(InputError, match="no trace was kept"):
        export_dataset(folder)
    assert not list((tmp_path / "dataset").rglob("*.*"))


def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(module.importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'understudy\[eval\]'"):
        export_dataset(RunFolder(tmp_path))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "messages: expected a list"),
        ({"messages": "{"}, "messages: not valid JSON"),
        ({"messages": [1]}, "messages: expected a list of objects"),
        ({"messages": [{"role": "system", "content": "x"}]}, "no user message"),
        ({"messages": [{"role": "user", "content": "q"}, {"role": "tool", "content": "{}"}]}, "out of place"),
        ({"messages": [{"role": "user", "content": "q"}], "tools": [{"type": "x"}]}, "a tool must be"),
        ({"messages": [{"role": "user", "content": "q"}], "provenance": {"who": 1}}, "policy: Field required"),
    ],
)
def test_rows_that_are_no_traces_are_refused_by_name(tmp_path, row, problem):
    (tmp_path / "rows.jsonl").write_bytes(orjson.dumps(to_row(trace(DIRECTOR, BORN))) + b"\n" + orjson.dumps(row))
    with pytest.raises(InputError, match=rf"rows.jsonl: row 2: .*{problem}"):
        list(read_dataset(tmp_path / "rows.jsonl"))


def test_unreadable_files_are_one_clear_line(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "y.jsonl").write_bytes(b"{}\n[]\n")
    (tmp_path / "empty").mkdir()
    for name, problem in {
        "x.parquet": "not a readable parquet file",
        "z.parquet": "no such file",
        "y.jsonl": "y.jsonl:2: expected a JSON object",
        "z.jsonl": "can't read",
        "empty": "no parquet or JSONL file",
    }.items():
        with pytest.raises(InputError, match=problem) as refused:
            list(read_rows(tmp_path / name))
        assert "\n" not in str(refused.value)


def test_the_module_imports_without_the_library():
    assert "datasets" not in vars(importlib.reload(module))
