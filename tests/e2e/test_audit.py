"""``understudy audit`` and ``tools stats`` as a user runs them."""

from __future__ import annotations

import json
from itertools import chain

import pytest

from commands import one_line, outcomes, run

QUESTIONS = "recipes/questions/2wiki_layout.jsonl"


@pytest.fixture(scope="module")
def made(tmp_path_factory, request):
    out = tmp_path_factory.mktemp("made") / "out"
    assert run("synth", "--questions", request.config.rootpath / QUESTIONS, "--out", out).returncode == 0
    return out


def test_audit_moves_traces_and_writes_the_data_set_anew(made):
    before = outcomes(made)
    done = run("audit", made, "--set", "max_characters=400")
    assert done.returncode == 0, done.stderr
    after = outcomes(made)
    assert 0 < len(after["traces.jsonl"]) < len(before["traces.jsonl"]) == 6
    assert sorted(chain(*after.values())) == sorted(chain(*before.values()))
    assert f"{len(after['traces.jsonl'])} complete traces" in (made / "dataset" / "README.md").read_text()
    assert f"rejected: {len(after['rejected.jsonl'])} × over_long" in done.stdout
    assert run("audit", made, "--set", "max_characters=32000").returncode == 0
    assert sorted(outcomes(made)["traces.jsonl"]) == sorted(before["traces.jsonl"])


def test_bad_settings_and_folders_are_one_line(made, tmp_path):
    assert "unknown key 'nonsense'; known keys: assumed_hops" in one_line(run("audit", made, "--set", "nonsense=1"))
    assert "config.json: no such file" in one_line(run("audit", tmp_path))
    assert "not a run folder" in one_line(run("tools", "stats", tmp_path))
    assert "has no dataset/ to push" in one_line(run("push", tmp_path, "me/films"))


def test_tools_are_counted_and_plotted(made):
    done = run("tools", "stats", made)
    assert done.returncode == 0, done.stderr
    found = json.loads((made / "tools.json").read_text())
    assert f"{found['tools']} unique tools" in done.stdout
    assert (made / "tools.svg").read_text().startswith("<svg")
