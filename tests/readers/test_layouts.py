"""Each layout's rows become the task they describe, and bad rows say what is wrong."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.readers import LAYOUTS
from understudy.task import Fact, Hop, Kind, Passage, Task

WIKI2 = {
    "_id": "a1",
    "type": "bridge_comparison",
    "question": "Which film has the director born earlier, Alpha or Beta?",
    "context": [["Alpha", ["Alpha is a film.", "It is by Ann Ash."]], ["Beta", ["Beta is a film."]], ["Other", []]],
    "supporting_facts": [["Alpha", 1], ["Beta", 0]],
    "evidences": [["Alpha", "director", "Ann Ash"], ["Ann Ash", "date of birth", "1 May 1900"]],
    "answer": "Alpha",
    "evidences_id": [["Q1", "director", "Q2"]],
    "answer_id": "Q1",
    "entity_ids": "Q1_Q2",
}
HOTPOTQA = {key: WIKI2[key] for key in ("question", "context", "supporting_facts", "answer")} | {
    "id": "h1",
    "type": "bridge",
    "level": "hard",
}
MUSIQUE = {
    "id": "2hop__1_2",
    "paragraphs": [
        {"idx": 0, "title": "Alpha", "paragraph_text": "Alpha is by Ann Ash.", "is_supporting": True},
        {"idx": 1, "title": "Beta", "paragraph_text": "Beta is a film.", "is_supporting": False},
    ],
    "question": "Who is the father of the director of Alpha?",
    "question_decomposition": [
        {"id": 1, "question": "Alpha >> director", "answer": "Ann Ash", "paragraph_support_idx": 0},
        {"id": 2, "question": "Who is the father of #1 ?", "answer": "Bob Ash", "paragraph_support_idx": None},
    ],
    "answer": "Bob Ash",
    "answer_aliases": ["Robert Ash", "Bob Ash"],
    "answerable": True,
}
BAMBOOGLE = {"Question": "Who?", "Answer": "Ann"}
FLASHRAG = {"id": "dev_3", "question": "Who?", "golden_answers": ["Ann", "Anna"], "metadata": {"type": "x"}}
SAMPLE = {
    "id": "s1",
    "dataset": "musique",
    "question": "Who?",
    "answers": ["Ann"],
    "type": "3hop1",
    "hops": 3,
    "supporting": ["Alpha"],
    "split": "dev",
}
TASK = Task(id="t1", question="Who?", answers=("Ann",), kind=Kind.BRIDGE).model_dump(mode="json")
RECORDS: dict[str, dict[str, Any]] = {
    "2wikimultihopqa": WIKI2,
    "hotpotqa": HOTPOTQA,
    "musique": MUSIQUE,
    "bamboogle": BAMBOOGLE,
    "flashrag": FLASHRAG,
    "sample": SAMPLE,
    "task": TASK,
    "plain": {"question": "Who?", "answer": "Ann"},
}
PASSAGES = (
    Passage(title="Alpha", text="Alpha is a film. It is by Ann Ash.", supporting=True),
    Passage(title="Beta", text="Beta is a film.", supporting=True),
    Passage(title="Other", text=""),
)


def read(name: str, record: dict[str, Any]) -> Task:
    task = LAYOUTS[name].to_task(record)
    assert task is not None
    return task


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_every_layout_recognises_its_own_rows_first(name: str) -> None:
    assert next(layout for layout in LAYOUTS if LAYOUTS[layout].matches(RECORDS[name])) == name


def test_2wiki() -> None:
    task = read("2wikimultihopqa", WIKI2)
    assert (task.id, task.kind, task.hops, task.answers) == ("a1", Kind.BRIDGE_COMPARISON, 2, ("Alpha",))
    assert task.evidence.passages == PASSAGES
    assert task.evidence.facts[1] == Fact(subject="Ann Ash", relation="date of birth", object="1 May 1900")


def test_2wiki_as_columns_and_as_json_text() -> None:
    columns = WIKI2 | {
        "context": {"title": ["Alpha", "Beta", "Other"], "sentences": [pair[1] for pair in WIKI2["context"]]},  # type: ignore[index]
        "supporting_facts": {"title": ["Alpha", "Beta"], "sent_id": [1, 0]},
        "evidences": {
            "fact": ["Alpha", "Ann Ash"],
            "relation": ["director", "date of birth"],
            "entity": ["Ann Ash", "1 May 1900"],
        },
    }
    texts = WIKI2 | {"context": '[["Alpha", ["Alpha is a film."]]]', "evidences": '[["Alpha", "director", "Ann Ash"]]'}
    assert read("2wikimultihopqa", columns) == read("2wikimultihopqa", WIKI2)
    assert read("2wikimultihopqa", texts).evidence.facts == read("2wikimultihopqa", WIKI2).evidence.facts[:1]


def test_hotpotqa_in_both_shapes() -> None:
    task = read("hotpotqa", HOTPOTQA)
    assert (task.id, task.kind, task.evidence.passages) == ("h1", Kind.BRIDGE, PASSAGES)
    columns = {"title": ["Alpha", "Beta", "Other"], "sentences": [pair[1] for pair in HOTPOTQA["context"]]}  # type: ignore[index]
    supports = {"title": ["Alpha", "Beta"], "sent_id": [1, 0]}
    assert read("hotpotqa", HOTPOTQA | {"context": columns, "supporting_facts": supports}) == task


def test_musique() -> None:
    task = read("musique", MUSIQUE)
    assert task.answers == ("Bob Ash", "Robert Ash")
    assert task.evidence.hops == (
        Hop(question="Alpha >> director", answer="Ann Ash", title="Alpha"),
        Hop(question="Who is the father of #1 ?", answer="Bob Ash"),
    )
    assert [passage.supporting for passage in task.evidence.passages] == [True, False]


def test_unanswerable_questions_are_left_out() -> None:
    assert LAYOUTS["musique"].to_task(MUSIQUE | {"answerable": False}) is None


def test_flashrag_names_its_split_in_the_id() -> None:
    task = read("flashrag", FLASHRAG)
    assert (task.split, task.answers) == ("dev", ("Ann", "Anna"))


@pytest.mark.parametrize(("layout", "row"), [("hotpotqa", HOTPOTQA), ("2wikimultihopqa", WIKI2), ("musique", MUSIQUE)])
def test_flashrag_keeps_the_official_row_in_its_metadata(layout: str, row: dict[str, Any]) -> None:
    official = read(layout, row)
    beside = {key: value for key, value in row.items() if key not in ("id", "_id", "question", "answer")}
    if "context" in row:  # FlashRAG's columns
        titles, sentences = zip(*row["context"], strict=True)
        beside["context"] = {"title": list(titles), "content": list(sentences)}
        facts = list(zip(*row["supporting_facts"], strict=True))
        beside["supporting_facts"] = {"title": list(facts[0]), "sent_id": list(facts[1])}
    packed = {"id": "train_4", "question": row["question"], "golden_answers": list(official.answers)}
    task = read("flashrag", packed | {"metadata": beside})
    ours = {"id": "train_4", "split": "train", "source": ""}
    assert task == official.model_copy(update=ours)
    assert read("flashrag", packed | {"metadata": {}}).evidence.passages == ()


def test_sample_and_task() -> None:
    task = read("sample", SAMPLE)
    assert (task.source, task.split, task.kind, task.hops) == ("musique", "dev", Kind.COMPOSITIONAL, 3)
    assert read("task", TASK).model_dump(mode="json") == TASK


@pytest.mark.parametrize(
    ("record", "answers"),
    [
        ({"answer": "Ann"}, ("Ann",)),
        ({"answer": 1999}, ("1999",)),
        ({"answers": ["Ann", "Anna", "Ann"]}, ("Ann", "Anna")),
        ({"answers": '["Ann", "Anna"]'}, ("Ann", "Anna")),
        ({"answer": "[sic] Ann"}, ("[sic] Ann",)),
    ],
)
def test_plain_answers(record: dict[str, Any], answers: tuple[str, ...]) -> None:
    assert read("plain", {"question": "Who?"} | record).answers == answers


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("2wikimultihopqa", {"evidences": [["Alpha", "director"]]}, "'evidences' must be triples"),
        ("2wikimultihopqa", {"evidences": {"fact": []}}, "the lists 'fact'"),
        ("2wikimultihopqa", {"context": "no json"}, "'context' is not valid JSON"),
        ("2wikimultihopqa", {"context": [["Alpha", "text"]]}, "a title and its sentences"),
        ("hotpotqa", {"supporting_facts": [["Alpha"]]}, "'supporting_facts' must be a list of pairs"),
        ("hotpotqa", {"answer": None}, "no 'answer'"),
        ("musique", {"paragraphs": None}, "'paragraphs' must be a list"),
        ("musique", {"question_decomposition": [{"question": "Who?"}]}, "no 'answer'"),
        ("musique", {"answer_aliases": "Ann"}, "'answer_aliases' must be a list"),
        ("bamboogle", {"Answer": " "}, "'Answer' is empty"),
        ("flashrag", {"golden_answers": []}, "'golden_answers' is empty"),
        ("sample", {"hops": "two"}, "'hops' must be a whole number"),
        ("task", {"answers": []}, "answers"),
        ("plain", {"question": ["Who?"]}, "'question' must be text"),
    ],
)
def test_bad_rows_say_what_is_wrong(name: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAYOUTS[name].to_task(RECORDS[name] | change)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", list(LAYOUTS))
@given(data=st.data())
def test_any_damage_gives_a_task_or_one_error(name: str, data: st.DataObject) -> None:
    record = copy.deepcopy(RECORDS[name])
    for key in data.draw(st.lists(st.sampled_from(sorted(record)), min_size=1, max_size=3)):
        container: Any = record
        while isinstance(container.get(key), list) and container[key] and isinstance(container[key][0], dict):
            container = container[key][0]
            key = data.draw(st.sampled_from([*sorted(container), "other"]))
        container[key] = data.draw(junk)
    try:
        task = LAYOUTS[name].to_task(record)
    except ValueError:
        return
    assert task is None or (task.question and task.answers)
