"""The README says what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import readme

ROOT = readme.ROOT
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += [ROOT / "recipes" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def holds_files(folder: Path) -> bool:
    return any(path.is_file() and "__pycache__" not in path.parts for path in folder.rglob("*"))


def test_every_path_of_the_tree_exists():
    missing = [entry.path for entry in readme.tree() if not (ROOT / entry.path).exists()]
    assert missing == []


def test_every_room_is_in_the_tree():
    package = ROOT / "src" / "understudy"
    rooms = {path.name + "/" for path in package.iterdir() if path.is_dir() and holds_files(path)}
    rooms |= {path.name for path in package.glob("*.py")} - {"__init__.py", "__main__.py"}
    listed = {entry.path.removeprefix("src/understudy/") for entry in readme.tree() if entry.floor is not None}
    assert listed == rooms


def test_every_folder_of_the_repository_is_in_the_tree():
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    there = {f"{name}/" for name in folders - ignored - {"src"} if holds_files(ROOT / name)}
    listed = {entry.path for entry in readme.tree() if entry.floor is None and not entry.path.startswith(("src", "."))}
    assert listed == there


def test_every_entry_says_something():
    assert [entry.path for entry in readme.tree() if not entry.about and entry.path != "src/understudy/"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Anchors as GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_commands_of_the_readme_exist():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    used = re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text())
    assert {"demo", "test"} <= set(used) & set(targets)
    assert "<!-- demo figures -->" in (ROOT / "README.md").read_text()
