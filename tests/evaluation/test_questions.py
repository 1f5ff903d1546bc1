"""Which questions are asked: files, run folders and Hub data sets, by split, number and id."""

from __future__ import annotations

import json

import pytest

from understudy.errors import InputError
from understudy.evaluation.questions import read_questions
from understudy.evaluation.settings import QuestionSettings
from understudy.readers import hub


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "bamboogle.jsonl"
    rows = [
        {"id": f"q{n}", "question": f"Who is {n}?", "answers": [f"Nobody {n}"], "dataset": "bamboogle",
         "split": "dev" if n % 2 else "train"}
        for n in range(6)
    ]  # fmt: skip
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def asked(path, ids=(), **settings):
    return read_questions(QuestionSettings(path=str(path), **settings), ids)


def names(questions):
    return [task.id for task in questions.tasks]


def test_split_and_limit_select_in_the_order_of_the_file(path):
    assert names(asked(path)) == ["q0", "q1", "q2", "q3", "q4", "q5"]
    assert names(asked(path, split="dev", limit=2)) == ["q1", "q3"]
    assert names(asked(path, ids=["q5", "q1"], split="dev", limit=1)) == ["q5", "q1"]
    with pytest.raises(InputError, match="no question of the split 'test'"):
        asked(path, split="test")
    with pytest.raises(InputError, match=r"1 questions of the manifest are not there \('q9'"):
        asked(path, ids=["q1", "q9"])


def test_the_hash_is_that_of_the_file(path):
    import hashlib

    assert asked(path, limit=1).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    before = asked(path).sha256
    path.write_text(path.read_text().replace("Nobody 3", "Somebody"))
    assert asked(path).sha256 != before


def test_a_data_set_of_the_hub_is_read_at_the_commit_that_the_manifest_names(path, monkeypatch):
    name = f"hf:{path.parent}@train"
    questions = asked(name)
    assert names(questions) == ["q0", "q1", "q2", "q3", "q4", "q5"]
    assert questions.revision == ""  # a folder has none
    assert len(questions.sha256) == 64
    assert asked(name, limit=3).sha256 != questions.sha256

    class Api:
        def dataset_info(self, repository, revision):
            assert (repository, revision) == ("org/set", "main")
            return type("Info", (), {"sha": "5" * 40})

    loaded = []

    def load(repository, config, split, revision, streaming):
        loaded.append((repository, config, split, revision))
        return [{"id": "dev_0", "question": "Who?", "golden_answers": ["Ann"]}]

    libraries = {
        "httpx": None,
        "huggingface_hub": type("Hub", (), {"HfApi": Api}),
        "datasets": type("Datasets", (), {"load_dataset": staticmethod(load)}),
    }
    monkeypatch.setattr(hub.importlib, "import_module", libraries.__getitem__)
    pinned = asked("hf:org/set:hotpotqa@dev", revision="main")
    assert pinned.revision == "5" * 40
    assert loaded == [("org/set", "hotpotqa", "dev", "5" * 40)]
    assert (pinned.tasks[0].source, pinned.tasks[0].split) == ("hotpotqa", "dev")
