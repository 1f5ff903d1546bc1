"""Files of passages in the layouts that are passed around."""

from __future__ import annotations

import gzip

import pytest

from understudy.errors import InputError
from understudy.search.corpus import read_passages
from understudy.task import Passage

RIVER = Passage(title='The "Long" River', text="It is long.\nVery.")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", r'{"id": 7, "title": "The \"Long\" River", "text": "It is long.\nVery.", "dataset": "x"}'),
        ("p.jsonl", r'{"id": "7", "contents": "\"The \"Long\" River\"\nIt is long.\nVery."}'),
        ("p.jsonl", r'{"id": "7", "contents": "The \"Long\" River\nIt is long.\nVery."}'),
        ("p.json", r'[{"title": "The \"Long\" River", "text": "It is long.\nVery."}]'),
        ("p.tsv", 'id\ttext\ttitle\n7\t"It is long.\nVery."\t"The ""Long"" River"\n'),
        ("p.csv", 'title,text\n"The ""Long"" River","It is long.\nVery."\n'),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_reads_each_layout(tmp_path, name, content, zipped):
    path = tmp_path / (name + ".gz" * zipped)
    path.write_bytes(gzip.compress(content.encode()) if zipped else content.encode())
    passages = list(read_passages(path))
    assert passages == [RIVER]


def test_titles_may_be_missing(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"text": "a"}\n{"contents": "b"}\n{"title": null, "text": "c"}')
    assert [(passage.title, passage.text) for passage in read_passages(tmp_path / "p.jsonl")] == [
        ("", "a"),
        ("", "b"),
        ("", "c"),
    ]


@pytest.mark.parametrize(
    "record", ["{}", '{"title": "a"}', '{"text": 3}', '{"title": 3, "text": "a"}', '{"contents": 1}']
)
def test_says_where_no_passage_is(tmp_path, record):
    (tmp_path / "p.jsonl").write_text('{"text": "a"}\n' + record)
    with pytest.raises(InputError, match=r"p\.jsonl:2: a passage needs the texts"):
        list(read_passages(tmp_path / "p.jsonl"))
