"""``understudy score``: the official numbers on standard output, one line for whatever is wrong."""

from __future__ import annotations

import json

import pytest

from understudy.jsonl import read_jsonl


def write(path, *lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def line(id="q1", prediction="Paris", answers=("Paris",), **more):
    return {"id": id, "prediction": prediction, "answers": list(answers), **more}


def test_prints_metrics_and_writes_items_in_order(run, tmp_path):
    file = write(
        tmp_path / "predictions.jsonl",
        line("q1", "the Paris", ["paris."], question="extra fields don't matter"),
        line(2, "20 March", ["March 20, 851"]),
        line("q3", "", ["London"]),
    )
    code, out, err = run("score", "--rule", "musique", file, "--per-item", tmp_path / "items.jsonl")
    assert (code, err) == (0, "")
    scores = json.loads(out)
    assert set(scores) == {"n", "em", "f1"}
    assert scores["n"] == scores["em"]["n"] == scores["f1"]["n"] == 3
    assert scores["em"]["value"] == pytest.approx(1 / 3)
    assert scores["f1"]["value"] == pytest.approx((1 + 0.8) / 3)
    low, high = scores["f1"]["ci95"]
    assert 0 <= low <= scores["f1"]["value"] <= high <= 1
    items = list(read_jsonl(tmp_path / "items.jsonl"))
    assert [(item["id"], item["em"]) for item in items] == [("q1", 1), (2, 0), ("q3", 0)]
    assert [item["f1"] for item in items] == pytest.approx([1, 0.8, 0])


def test_aliases_count_except_for_hotpotqa(run, tmp_path):
    file = write(tmp_path / "p.jsonl", line("q", "Stanley Hall", ["G. Stanley Hall", "Stanley Hall"]))
    em = {}
    for rule in ("hotpotqa", "musique", "2wikimultihopqa", "bamboogle"):
        em[rule] = json.loads(run("score", file, "--rule", rule)[1])["em"]["value"]
    assert em == {"hotpotqa": 0.0, "musique": 1.0, "2wikimultihopqa": 1.0, "bamboogle": 1.0}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "p.jsonl: no predictions"),
        (["{"], "p.jsonl:1: not valid JSON"),
        (["[1]"], "p.jsonl: item 1: expected a JSON object"),
        ([line(), {"id": "q2", "answers": ["x"]}], "p.jsonl:2: prediction: Field required"),
        ([line(prediction=None)], "p.jsonl:1: prediction: Input should be a valid string"),
        ([line(answers=())], "p.jsonl:1: answers: List should have at least 1 item"),
        ([{**line(), "answers": "Paris"}], "p.jsonl:1: answers: Input should be a valid list"),
        ([line(), line()], "p.jsonl:2: id 'q1' is used before, at"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run, tmp_path, lines, message):
    file = write(tmp_path / "p.jsonl", *lines)
    code, out, err = run("score", "--rule", "hotpotqa", file, "--per-item", tmp_path / "items.jsonl")
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "items.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rule", "hotpotqa", "absent.jsonl"], "absent.jsonl: no such file"),
        (["absent.jsonl"], "Missing option '--rule'"),
        (["--rule", "squad", "absent.jsonl"], "'squad' is not one of 'hotpotqa', 'musique'"),
        (["--rule", "musique"], "Missing argument"),
    ],
)
def test_a_wrong_command_line_is_one_line(run, arguments, message):
    code, _, err = run("score", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_items_that_cannot_be_written_are_one_line(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run(
        "score", "--rule", "musique", write(tmp_path / "p.jsonl", line()), "--per-item", tmp_path / "file" / "items"
    )
    assert code == 2
    assert "items" in err
    assert err.count("\n") == 1
