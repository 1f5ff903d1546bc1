"""Several files are replaced as one, whatever comes between."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import InputError
from understudy.synthesis import staging


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("old")
    return tmp_path


def contents(folder: Path) -> list[str]:
    return [(folder / name).read_text() for name in ("a", "b", "c")]


def write(folder: Path) -> None:
    staged = staging.stage(folder)
    for name in ("a", "b"):
        (staged / name).write_text("new")


def test_staged_files_replace_theirs_together(folder: Path) -> None:
    write(folder)
    assert contents(folder) == ["old"] * 3
    staging.commit(folder)
    assert contents(folder) == ["new", "new", "old"]
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "c"]


def test_without_a_commit_nothing_happens(folder: Path) -> None:
    write(folder)
    staging.finish(folder)
    assert contents(folder) == ["old"] * 3
    staging.clear(folder)
    assert len(list(folder.iterdir())) == 3


def test_an_interrupted_commit_is_finished_by_whoever_comes_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder)
    replace, done = Path.replace, []

    def killed(self: Path, target: Path) -> Path:
        if target.parent == folder and target.name in ("a", "b"):
            if done:
                raise KeyboardInterrupt
            done.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        staging.commit(folder)
    monkeypatch.undo()
    assert sorted(contents(folder)) == ["new", "old", "old"]
    staging.finish(folder)
    assert contents(folder) == ["new", "new", "old"]
    staging.finish(folder)


def test_a_disk_that_refuses_is_one_line(folder: Path) -> None:
    (folder / ".staged").write_text("in the way")
    with pytest.raises(InputError, match="can't write"):
        staging.stage(folder)
