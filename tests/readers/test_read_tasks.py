"""Files of every container are read alike, and every mistake is named with its place."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from understudy.errors import InputError
from understudy.readers import LAYOUTS, read_tasks

ROWS: list[dict[str, Any]] = [{"question": f"Who is {name}?", "answer": name} for name in ("Ann", "Bob", "Çelik")]


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def lines(rows: list[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.jsonl", lines(ROWS)),
        ("q.jsonl", "\n\n" + lines(ROWS).replace("\n", "\r\n\r\n") + "\n"),
        ("q.jsonl", "\ufeff" + lines(ROWS)),
        ("q.jsonl.gz", lines(ROWS)),
        ("q.json", json.dumps(ROWS)),
        ("q.json", "\n " + json.dumps(ROWS, indent=1, ensure_ascii=False)),
        ("q.json.gz", json.dumps(ROWS)),
        ("q.csv", "question,answer\n" + "".join(f"{row['question']},{row['answer']}\n" for row in ROWS)),
        ("q.csv.gz", 'answer,question\n"Ann","Who is Ann?"\nBob,Who is Bob?\nÇelik,"Who is Çelik?"'),
    ],
)
def test_containers(tmp_path: Path, name: str, text: str) -> None:
    tasks = list(read_tasks(write(tmp_path / name, text)))
    assert [(task.question, task.answers) for task in tasks] == [(row["question"], (row["answer"],)) for row in ROWS]
    assert [task.id for task in tasks] == [task.id for task in read_tasks(write(tmp_path / "r.jsonl", lines(ROWS)))]


def test_ids_do_not_depend_on_place_and_limits_count_tasks(tmp_path: Path) -> None:
    forward = {task.id for task in read_tasks(write(tmp_path / "a.jsonl", lines(ROWS)))}
    backward = {task.id for task in read_tasks(write(tmp_path / "b.jsonl", lines(ROWS[::-1])))}
    assert forward == backward
    assert len(forward) == 3
    assert len(list(read_tasks(tmp_path / "a.jsonl", limit=2))) == 2
    assert list(read_tasks(tmp_path / "a.jsonl", limit=0)) == []


def test_rows_without_ids_may_repeat(tmp_path: Path) -> None:
    first, _, second = read_tasks(write(tmp_path / "q.jsonl", lines([ROWS[0], ROWS[1], ROWS[0]])))
    assert (first.question, f"{first.id}-3") == (second.question, second.id)


def test_jsonl_and_csv_name_the_container_of_plain_questions(tmp_path: Path) -> None:
    text = "question,answer,supporting_facts,context\nWho?,Ann,1,2\n"
    (task,) = read_tasks(write(tmp_path / "questions.txt", text), "csv")
    assert (task.question, task.answers) == ("Who?", ("Ann",))
    assert len(list(read_tasks(write(tmp_path / "q.csv", lines(ROWS)), "jsonl"))) == 3


def test_a_limit_stops_before_later_mistakes(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", lines(ROWS) + "\nnot json")
    assert len(list(read_tasks(path, limit=3))) == 3
    with pytest.raises(InputError, match=r"q\.jsonl:4: not valid JSON"):
        list(read_tasks(path))


def test_long_arrays_are_read_in_pieces(tmp_path: Path) -> None:
    rows = [{"id": str(index), "question": "Who? " * 2000, "answer": "Ann"} for index in range(300)]
    assert len(list(read_tasks(write(tmp_path / "q.json", json.dumps(rows))))) == 300


def test_split_and_source_come_from_the_file_where_records_do_not_say(tmp_path: Path) -> None:
    folder = tmp_path / "hotpotqa"
    folder.mkdir()
    row = {"question": "Who?", "golden_answers": ["Ann"]}
    (task,) = read_tasks(write(folder / "dev.jsonl", lines([row])))
    assert (task.source, task.split) == ("hotpotqa", "dev")
    (task,) = read_tasks(write(folder / "dev.jsonl", lines([row | {"id": "train_1"}])))
    assert task.split == "train"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.jsonl", '{"question": "Who?"}', r"q\.jsonl:1: no known layout has the fields question"),
        ("q.jsonl", lines([ROWS[0], {"question": "Who?"}]), r"q\.jsonl:2: no 'answer' \(read as plain\)"),
        ("q.jsonl", lines(ROWS) + '\n{"question', r"q\.jsonl:4: not valid JSON"),
        ("q.jsonl", "3", r"q\.jsonl:1: expected a JSON object, found int"),
        ("q.jsonl", lines([ROWS[0] | {"id": "a"}] * 2), r"q\.jsonl:2: id 'a' is used before, by record 1"),
        ("q.jsonl", "", r"q\.jsonl: no records"),
        ("q.json", json.dumps(ROWS)[:-5], r"q\.json: item 3: not valid JSON"),
        ("q.json", "[" * 100_000, r"q\.json: item 1: nested too deep"),
        ("q.csv", "question,answer\nWho?,Ann,Bob\n", r"q\.csv:2: more fields"),
        ("q.csv", 'question,answer\n"Who?,Ann\n', r"q\.csv: not valid CSV"),
        ("q.csv", "question,answer\nWho?,\n", r"q\.csv:2: no known layout"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read_tasks(write(tmp_path / name, text)))


def test_files_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_tasks(tmp_path / "missing.jsonl"))
    with pytest.raises(InputError, match="can't read"):
        list(read_tasks(tmp_path))
    torn = tmp_path / "torn.jsonl.gz"
    torn.write_bytes(gzip.compress(lines(ROWS).encode())[:-20])
    with pytest.raises(InputError, match="damaged gzip"):
        list(read_tasks(torn))
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(lines(ROWS).encode() + '{"question": "é"}'.encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        list(read_tasks(latin))


def test_unknown_formats_and_wrong_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", lines(ROWS))
    with pytest.raises(InputError, match="unknown format 'squad'; formats: auto, "):
        read_tasks(path, format="squad")
    with pytest.raises(InputError, match=r"q\.jsonl:1: no 'Question' \(read as bamboogle\)"):
        list(read_tasks(path, format="bamboogle"))


@pytest.mark.parametrize(
    ("name", "count", "source", "split"),
    [
        ("2wikimultihopqa_train.jsonl.gz", 500, "2wikimultihopqa", "train"),
        ("musique_train.jsonl.gz", 100, "musique", "train"),
        ("hotpotqa_train.jsonl.gz", 100, "hotpotqa", "train"),
        ("bamboogle.jsonl", 125, "bamboogle", "test"),
    ],
)
def test_real_files(shared_data: Path, name: str, count: int, source: str, split: str) -> None:
    tasks = list(read_tasks(shared_data / name))
    assert len(tasks) == count
    assert {(task.source, task.split) for task in tasks} == {(source, split)}
    if source in ("2wikimultihopqa", "musique"):
        assert all(task.hops and task.hops >= 2 for task in tasks)
        assert all(any(passage.supporting for passage in task.evidence.passages) for task in tasks)


def test_layouts_are_named_in_the_documentation() -> None:
    import understudy.readers as readers

    assert all(f"``{name}``" in (readers.__doc__ or "") for name in LAYOUTS)
