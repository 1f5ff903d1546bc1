"""The benchmark of training runs on the lab's shape; larger ones wait for a GPU."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from understudy.jsonl import read_json

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_it_measures_both_stages(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    arguments = [
        "--shapes",
        "lab",
        "--steps",
        "3",
        "--batch",
        "2",
        "--tasks",
        "12",
        "--json",
        str(tmp_path / "out.json"),
    ]
    monkeypatch.setattr(sys, "argv", ["training.py", *arguments])
    import_module("training").main()
    figures = read_json(tmp_path / "out.json")["lab"]
    for part in ("padded", "packed", "grpo"):
        assert figures[part]["tokens_per_second"] > 0
        assert 0 < figures[part]["share_of_peak"] < 1
    assert figures["grpo"]["sampled_per_second"] > 0
