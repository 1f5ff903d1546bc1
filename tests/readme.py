"""The annotated tree of the README, for tests that hold it to the truth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_LINE = re.compile(r"^( *)(\S+)(?: +(\d))? {2,}(\S.*)$|^( *)(\S+/)$")


@dataclass(frozen=True)
class Entry:
    """One line: where it is, its floor (rooms only), and what is said of it."""

    path: str
    floor: int | None
    about: str


def tree() -> list[Entry]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.split("<!-- tree -->\n```text\n")[1].split("```")[0]
    entries, folder = [], ""
    for line in block.splitlines():
        match = _LINE.match(line)
        assert match, f"the README's tree has a line of no known form: {line!r}"
        indent, name, floor, about, bare_indent, bare = match.groups()
        indent, name = indent or bare_indent or "", name or bare
        if not indent:
            folder = name
        entries.append(Entry(folder + name if indent else name, int(floor) if floor else None, about or ""))
    return entries


def floors() -> dict[int, list[str]]:
    """Rooms by floor, modules without their ending."""
    found: dict[int, list[str]] = {}
    for entry in tree():
        if entry.floor is not None:
            found.setdefault(entry.floor, []).append(Path(entry.path).stem)
    return found
