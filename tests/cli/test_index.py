"""``understudy index``: passages become an index that can be opened; what is wrong is one line."""

from __future__ import annotations

from understudy.search.disk import DiskIndex


def test_builds_an_index_that_can_be_opened(run, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"title": "Ali", "text": "A film."}\n{"contents": "\\"Born\\"\\nA word."}\n')
    code, out, _ = run("index", tmp_path / "p.jsonl", "--out", tmp_path / "index")
    index = DiskIndex.open(tmp_path / "index")
    assert code == 0
    assert "2 passages" in out
    assert index.name in out


def test_bad_passages_are_one_line_and_leave_nothing(run, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"title": "Ali", "text": "A film."}\n{"title": "Ali"}\n')
    code, _, err = run("index", tmp_path / "p.jsonl", "--out", tmp_path / "index")
    assert code == 2
    assert "p.jsonl:2: a passage needs" in err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]
