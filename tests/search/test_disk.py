"""An index on disk is whole or not there, whatever happens while it is built."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import pytest

from understudy.errors import InputError
from understudy.search.disk import MANIFEST, DiskIndex
from understudy.task import Passage

PASSAGES = [Passage(title=f"Page {number}", text=f"word{number} common") for number in range(50)]


async def test_an_index_is_built_once_and_opened_later(tmp_path):
    built = DiskIndex.build(tmp_path / "index", PASSAGES)
    opened = DiskIndex.open(tmp_path / "index")
    assert (opened.name, opened.passages) == (built.name, 50)
    assert await opened.search(["word7", "common"], 3) == await built.search(["word7", "common"], 3)
    assert (await opened.search(["word7"]))[0][0].passage == PASSAGES[7]


def test_progress_is_told(tmp_path):
    told = []
    DiskIndex.build(tmp_path / "index", (Passage(title="", text="a") for _ in range(20_001)), told.append)
    assert told == [10_000, 20_000]


def test_a_folder_is_never_overwritten(tmp_path):
    DiskIndex.build(tmp_path / "index", PASSAGES)
    with pytest.raises(InputError, match="exists already"):
        DiskIndex.build(tmp_path / "index", PASSAGES)
    assert DiskIndex.open(tmp_path / "index").passages == 50


def test_a_bad_passage_leaves_nothing(tmp_path):
    def passages():
        yield from PASSAGES
        raise InputError("line 51")

    with pytest.raises(InputError, match="line 51"):
        DiskIndex.build(tmp_path / "index", passages())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["nothing there", "manifest", "version", "meta", "store"])
def test_what_is_no_index_is_said(tmp_path, damage):
    path = tmp_path / "index"
    DiskIndex.build(path, PASSAGES)
    if damage == "nothing there":
        shutil.rmtree(path)
    elif damage == "manifest":
        (path / MANIFEST).unlink()
    elif damage == "version":
        (path / MANIFEST).write_text('{"format": 0}')
    elif damage == "meta":
        (path / "meta.json").write_text("{}")
    else:
        next(path.glob("*.store")).write_bytes(b"")
    with pytest.raises(InputError, match=r"no search index of this version|the index is damaged"):
        DiskIndex.open(path)


BUILD = """
import resource, sys
from pathlib import Path
from understudy.errors import InputError
from understudy.search.disk import DiskIndex
from understudy.task import Passage

path, count, largest = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if largest:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
texts = (" ".join(f"w{row * 20 + word}" for word in range(20)) for row in range(count))
try:
    DiskIndex.build(path, (Passage(title="", text=text) for text in texts))
except InputError as error:
    sys.exit(str(error))
"""


def build_elsewhere(path, count, largest=0):
    """Build in a process of its own, in which no file may grow beyond ``largest`` bytes."""
    command = [sys.executable, "-c", BUILD, str(path), str(count), str(largest)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    with build_elsewhere(tmp_path / "index", 3000, largest=20_000) as building:
        _, said = building.communicate(timeout=60)
    assert building.returncode == 1
    assert "can't write the index" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_killed_build_leaves_no_index_and_the_next_one_starts_anew(tmp_path):
    with build_elsewhere(tmp_path / "index", 10_000_000) as building:
        while not (tmp_path / "index.building").exists():
            assert building.poll() is None
            time.sleep(0.01)
        building.kill()
    assert not (tmp_path / "index").exists()
    assert DiskIndex.build(tmp_path / "index", PASSAGES).passages == 50
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
