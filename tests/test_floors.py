"""Imports go down the floors that the README lists, and nothing heavy is imported where it isn't needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import readme

PACKAGE = Path(__file__).parents[1] / "src" / "understudy"
HEAVY = {"torch", "transformers", "trl", "accelerate", "peft", "safetensors", "tokenizers", "datasets", "pyarrow"}
NEEDS_TORCH = ("understudy.training.", "understudy.lab.base.", "understudy.cli.stages", "understudy.cli.exam")
BLOCKED = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Blocker())
import understudy

for module in pkgutil.walk_packages(understudy.__path__, "understudy."):
    if module.name != "understudy.__main__":
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            print(module.name, error.name)
"""


def modules() -> dict[str, Path]:
    return {".".join(("understudy", *path.relative_to(PACKAGE).with_suffix("").parts)): path
            for path in sorted(PACKAGE.rglob("*.py"))}  # fmt: skip


def imported(path: Path) -> Iterator[str]:
    """What a file imports, inside of functions and for type checking included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides what it climbs to"
            yield node.module or ""


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def test_every_room_is_on_one_floor():
    rooms = {room(name) for name in modules()} - {"__init__", "__main__"}
    listed = [name for names in readme.floors().values() for name in names]
    assert sorted(listed) == sorted(rooms)


def test_imports_go_down():
    floor = {name: level for level, names in readme.floors().items() for name in names}
    floor |= {"__init__": 0, "__main__": max(floor.values())}
    climbing = [
        f"{name} (floor {floor[room(name)]}) imports {target} (floor {floor[room(target)]})"
        for name, path in modules().items()
        for target in imported(path)
        if target.partition(".")[0] == "understudy" and floor[room(target)] > floor[room(name)]
    ]
    assert climbing == []


def test_heavy_libraries_are_imported_by_training_the_base_model_and_the_demos_stages_only():
    for name, path in modules().items():
        heavy = {target.partition(".")[0] for target in imported(path)} & HEAVY
        assert not heavy or name.startswith(NEEDS_TORCH), f"{name} imports {heavy}"


@pytest.mark.parametrize("heavy", [HEAVY, {"torch"}], ids=["without the extras", "without torch"])
def test_everything_else_can_be_imported_without(heavy):
    code = BLOCKED.format(heavy=sorted(heavy))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    failed = dict(line.split() for line in done.stdout.splitlines())
    assert all(name.startswith(NEEDS_TORCH) for name in failed), failed
    assert "understudy.training.sft" in failed, "nothing was blocked"
