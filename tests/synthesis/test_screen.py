"""Tasks that get no rollout: duplicates, near-duplicates, and rows of benchmarks."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import InputError
from understudy.readers import read_tasks
from understudy.synthesis.audit import AuditSettings
from understudy.synthesis.decontaminate import Benchmarks
from understudy.synthesis.dedupe import Duplicates, Earlier, prefix
from understudy.synthesis.screen import Screen
from understudy.task import Task

NATIONALITY = "What nationality is the director of film {}?"


def asked(question: str, *answers: str, number: int = 0, **more: str) -> Task:
    return Task(id=f"t{number}", question=question, answers=answers or ("x",), **more)


def all_earlier(questions: list[tuple[str, str]], similarity: float) -> list[Earlier | None]:
    seen = Duplicates(similarity)
    return [seen.earlier(asked(text, answer, number=number)) for number, (text, answer) in enumerate(questions)]


def test_duplicates_are_found_up_to_normalisation_in_the_given_order() -> None:
    found = all_earlier([(text, "x") for text in ("Who made it?", "Who is who?", "who  made IT", "Who made the it")], 1)
    assert found == [None, None, Earlier("t0", 1.0), Earlier("t0", 1.0)]


def test_near_duplicates_share_words_and_the_answer() -> None:
    first = "Which county borders the county where the singer of Hungry Eyes was born?"
    found = all_earlier(
        [
            (first, "Cabarrus"),
            (first.replace("Which", "What"), "Cabarrus"),
            (first.replace("Which", "What"), "Iredell"),
            (first.replace("Which county borders", "Name a place near"), "Cabarrus"),
        ],
        0.8,
    )
    assert [hit and (hit.task_id, round(hit.similarity, 2)) for hit in found] == [None, ("t0", 0.82), ("t1", 1.0), None]
    assert all_earlier([(first, "x"), (first.replace("Which", "What"), "x")], 1.0)[1] is None


def test_scripts_without_spaces_are_compared_by_characters() -> None:
    found = all_earlier(
        [("谁是电影夜潮的导演的父亲", "x"), ("谁是电影夜潮的导演的父亲呢", "x"), ("夜潮何时上映", "x")], 0.8
    )
    assert [hit is not None for hit in found] == [False, True, False]


def test_one_template_with_other_names_is_no_duplicate() -> None:
    titles = ("Home Is The Hero", "The Buddy Games", "Trailer Town", "Angela")
    assert not any(all_earlier([(NATIONALITY.format(title), "American") for title in titles], 0.8))


def test_ids_must_be_unique() -> None:
    seen = Duplicates()
    seen.earlier(asked("Who?"))
    with pytest.raises(InputError, match="task id 't0' appears twice"):
        seen.earlier(asked("What?"))


@given(st.sets(st.integers(0, 40), min_size=1), st.sets(st.integers(0, 40), min_size=1), st.floats(0.1, 1))
def test_the_prefix_filter_misses_nothing(one: set[int], other: set[int], share: float) -> None:
    if len(one & other) >= share * max(len(one), len(other)):
        firsts = [set(sorted(items)[: prefix(len(items), share)]) for items in (one, other)]
        assert firsts[0] & firsts[1]


DEV = asked(
    "Where was the place of death of the director of film Wake Up To Life?", "Rome", split="dev", source="musique"
)


@pytest.mark.parametrize(
    ("task", "found"),
    [
        (
            asked("where was place of death of director of the film  wake up to life", "Bari"),
            "asks the same as t0 of mus",
        ),
        (asked(f"Please tell me: {DEV.question} Thanks.", "Bari"), "has 9 of 9 runs of 5 words of t0 of musique"),
        (asked(DEV.question.replace("Where was", "Name"), "Rome"), "has 7 of 9 runs"),
        (asked(DEV.question.replace("Where was", "Name"), "Bari"), None),
        (asked(DEV.question.replace("Wake Up To Life", "Ali"), "Rome"), None),
    ],
)
def test_contamination(task: Task, found: str | None) -> None:
    repeats = Benchmarks([DEV], 0.7).contaminating(task)
    assert (found or "None") in str(repeats)


def test_train_rows_contaminate_nothing() -> None:
    train = DEV.model_copy(update={"split": "train", "id": "other"})
    rows = Benchmarks([train, asked("Who is Ann?")], 0.7)
    assert len(rows) == 1
    assert rows.contaminating(DEV) is None


def write(path: Path, *rows: dict[str, str]) -> str:
    text = b"\n".join(map(orjson.dumps, rows))
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


def test_benchmarks_are_files_and_folders(tmp_path: Path) -> None:
    one = {"question": "Who is Ann?", "answer": "x"}
    (tmp_path / "musique").mkdir()
    write(tmp_path / "musique" / "dev.jsonl.gz", one)
    write(tmp_path / "musique" / "train.jsonl", one | {"question": "Who is Bob?"})
    write(tmp_path / "bamboogle.jsonl", {"Question": "Who is Cem?", "Answer": "x"})
    (tmp_path / "README.md").write_text("no questions")
    screen = Screen(AuditSettings(benchmarks=(str(tmp_path),)))
    refusals = [screen.refusal(asked(f"Who is {name}?", number=n)) for n, name in enumerate(("Ann", "Bob", "Cem"))]
    assert [refusal and refusal.reason for refusal in refusals] == ["contaminated", None, "contaminated"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("train.jsonl", "holds train rows alone"), ("missing.jsonl", "no such file"), ("empty", "no question file")],
)
def test_a_benchmark_that_guards_nothing_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "train.jsonl", {"question": "Who is Ann?", "answer": "x"})
    with pytest.raises(InputError, match=message):
        Screen(AuditSettings(benchmarks=(str(tmp_path / name),)))


@pytest.mark.parametrize(
    ("ignore", "reasons"),
    [
        ((), [None, "duplicate", "near_duplicate"]),
        (("near_duplicate",), [None, "duplicate", None]),
        (("duplicate",), [None, None, "near_duplicate"]),
    ],
)
def test_ignored_reasons_refuse_nothing(ignore: tuple[str, ...], reasons: list[str | None]) -> None:
    screen = Screen(AuditSettings.model_validate({"ignore": ignore}))
    texts = ["Who was the first mayor of Alba and Bra?", "who was first mayor of alba and bra",
             "Who was the last first mayor of Alba and Bra?"]  # fmt: skip
    found = [screen.refusal(asked(text, number=number)) for number, text in enumerate(texts)]
    assert [refusal and refusal.reason for refusal in found] == reasons


def test_real_train_rows_are_neither_contaminated_nor_near_duplicates(shared_data: Path) -> None:
    names = ("2wikimultihopqa", "musique", "hotpotqa")
    benchmarks = tuple(str(shared_data / f"{name}.jsonl") for name in (*names, "bamboogle"))
    screen = Screen(AuditSettings(benchmarks=benchmarks))
    for name in names:
        for task in read_tasks(shared_data / f"{name}_train.jsonl.gz"):
            assert screen.refusal(task) is None


def test_real_dev_rows_are_contaminated(shared_data: Path) -> None:
    path = shared_data / "hotpotqa.jsonl"
    screen = Screen(AuditSettings(benchmarks=(str(path),), similarity=1))
    refusals = {(task.split, (refusal := screen.refusal(task)) and refusal.reason) for task in read_tasks(path)}
    assert refusals == {("dev", "contaminated"), ("train", None)}
