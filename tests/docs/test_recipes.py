"""Recipes run as they are, at a reduced size; one after the other, as each hands its folder to the next."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
RUN = """
import runpy, sys
for line in {lines!r}:
    name, *arguments = line.split()
    sys.argv = [name, *arguments]
    runpy.run_path(f"{folder}/{{name}}.py", run_name="__main__")
"""
WITHOUT_TORCH = "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers', 'trl')))"


def run(folder: Path, lines: list[str], first: str = "") -> str:
    """Run recipes in one process (importing torch takes longer than some of them), and give what they print."""
    code = first + RUN.format(lines=lines, folder=RECIPES)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_synthesis_and_evidence_need_no_torch(tmp_path):
    said = run(tmp_path, ["synthesis --limit 24", "evidence", "evidence"], WITHOUT_TORCH)
    assert "of 24 traces kept" in said
    assert "6 of 6 traces kept" in said
    assert "Final Answer: London" in said
    assert (tmp_path / "runs/recipes/synthesis/dataset/data").is_dir()


def test_every_stage_takes_what_the_one_before_left(tmp_path):
    lines = [
        "synthesis --limit 24",
        "sft --epochs 1 --batch-size 8",
        "grpo --steps 1 --prompts 2 --generations 2 --validation 4",
        "evaluate --questions 4",
    ]
    said = run(tmp_path, lines)
    assert "EM no-op                      0.000" in said
    assert "gap: live − simulated" in said


def test_the_whole_method_in_one_script(tmp_path):
    said = run(tmp_path, ["whole --traces 16 --epochs 1 --questions 8 --steps 1 --test 4"])
    assert "SFT: the grammar of a trace" in said
    assert "EM no-op           0.000" in said


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.py")), ids=lambda path: path.stem)
def test_recipes_are_short_and_use_the_public_interface(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    assert not any(alias.name.startswith("_") for node in nodes for alias in node.names)
    assert not any((node.module or "").startswith("understudy.cli") for node in nodes), "a command is no library"
