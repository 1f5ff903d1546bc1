"""The benchmark of rollouts runs, at a small size; what it asserts itself is that all sides said the same."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from understudy.jsonl import read_json

FOLDER = Path(__file__).parents[2] / "benchmarks"
RATIOS = ("ratio_vs_critical_path", "ratio_vs_trl", "engine_vs_generate")


@pytest.fixture
def figures(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    arguments = ["--rollouts", "8", "--latency", "0.05", "--rounds", "1", "--json", str(tmp_path / "figures.json")]
    monkeypatch.setattr(sys, "argv", ["rollouts.py", *arguments])
    import_module("rollouts").main()
    return read_json(tmp_path / "figures.json")


def test_it_measures_all_three_ratios(figures):
    assert all(figures[ratio] > 0 for ratio in RATIOS)
    seconds = figures["seconds"]
    # Three calls in a row in ours, twelve in TRL's loop: both wait at least so long.
    assert seconds["longest_tool_time"] == pytest.approx(0.15)
    assert seconds["ours"] > 0.14
    assert seconds["trl"] > 0.59
