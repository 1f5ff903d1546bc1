"""Data sets that the ``datasets`` library loads, from local folders: the Hub itself can't be reached by a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.errors import InputError
from understudy.readers import read_tasks
from understudy.readers.hub import commit


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two configurations; the first has two splits, in the layouts of the Hub."""
    made = tmp_path / "musique_set"
    made.mkdir()
    rows = [{"Question": f"Who is {name}?", "Answer": name} for name in ("Ann", "Bob", "Cem")]
    (made / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (made / "dev.jsonl").write_text(json.dumps({"question": "Who is Dan?", "answer": "Dan"}))
    (made / "README.md").write_text(
        "---\nconfigs:\n- config_name: plain\n  data_files:\n  - split: train\n    path: train.jsonl\n"
        "  - split: validation\n    path: train.jsonl\n"
        "- config_name: other\n  data_files:\n  - split: test\n    path: dev.jsonl\n---\n"
    )
    return made


def test_rows_become_tasks_with_source_and_split_of_the_name(folder: Path) -> None:
    tasks = list(read_tasks(f"hf:{folder}:plain@validation", limit=2))
    assert [(task.question, task.answers) for task in tasks] == [("Who is Ann?", ("Ann",)), ("Who is Bob?", ("Bob",))]
    assert {(task.split, task.source) for task in tasks} == {("dev", "bamboogle")}


def test_the_only_split_needs_no_name(folder: Path) -> None:
    (task,) = read_tasks(f"hf:{folder}:other")
    assert (task.answers, task.source) == (("Dan",), "musique")


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (":plain", r"name a split, as in .*plain@train; splits: train, validation"),
        (":plain@nothing", r"nothing"),
        (":nothing@train", r"nothing"),
        ("", r"[Cc]onfig"),
        ("/missing@train", r"missing"),
    ],
)
def test_what_is_missing_is_one_line(folder: Path, tail: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        list(read_tasks(f"hf:{folder}{tail}"))
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(f"hf:{folder}{tail}: ")


def test_a_name_is_needed() -> None:
    with pytest.raises(InputError, match=r"expected hf:NAME"):
        list(read_tasks("hf:@train"))


def test_a_bad_row_names_its_number(folder: Path) -> None:
    (folder / "train.jsonl").write_text(json.dumps({"Question": "Who?", "Answer": "Ann"}) + "\n" + json.dumps({"x": 1}))
    with pytest.raises(InputError, match=r"plain@train: row 2: no 'Question'"):
        list(read_tasks(f"hf:{folder}:plain@train"))


def test_a_folder_has_no_commit_and_a_hub_that_is_not_reached_is_one_line(folder: Path, monkeypatch) -> None:
    assert commit(f"hf:{folder}:plain@train") == ""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"^hf:org/name: ") as refused:
        commit("hf:org/name")
    assert "\n" not in str(refused.value)
