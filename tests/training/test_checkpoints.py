"""A checkpoint that is not whole is passed over, and a disk that refuses is one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from understudy.errors import InputError
from understudy.jsonl import write_json
from understudy.training.checkpoints import CHECKPOINTS, STATE, last_checkpoint

FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", STATE)


def checkpoint(out: Path, step: int) -> Path:
    folder = out / CHECKPOINTS / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    save_file({"weight": torch.ones(3)}, folder / "model.safetensors")
    for name in FILES[1:4]:
        torch.save({"state": torch.ones(3)}, folder / name)
    write_json(folder / STATE, {"global_step": step})
    return folder


def test_the_newest_that_is_not_after_a_step(tmp_path):
    for step in (8, 16, 104):
        checkpoint(tmp_path, step)
    (tmp_path / CHECKPOINTS / "checkpoint-of-mine").mkdir()
    assert last_checkpoint(tmp_path).name == "checkpoint-104"
    assert last_checkpoint(tmp_path, 103).name == "checkpoint-16"
    assert last_checkpoint(tmp_path, 7) is None
    assert last_checkpoint(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [None, 0, 20], ids=["missing", "empty", "torn"])
def test_one_that_lacks_a_part_is_passed_over(tmp_path, name, left):
    whole, broken = checkpoint(tmp_path, 8), checkpoint(tmp_path, 16)
    file = broken / name
    data = file.read_bytes()
    assert len(data) > 20
    file.unlink()
    if left is not None:
        file.write_bytes(data[:left])
    assert last_checkpoint(tmp_path) == whole


def test_another_number_of_processes_is_refused(tmp_path):
    for folder in (checkpoint(tmp_path, 8), checkpoint(tmp_path, 16)):
        for rank in (0, 1):
            (folder / f"rng_state_{rank}.pth").write_bytes((folder / "rng_state.pth").read_bytes())
        (folder / "rng_state.pth").unlink()
    with pytest.raises(InputError, match="can't resume with 1 process"):
        last_checkpoint(tmp_path)


def test_a_tokenizer_that_the_disk_refuses_is_one_line(tmp_path):
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from understudy.errors import InputError\n"
        "from understudy.training.checkpoints import writing\n"
        "from understudy.training.models import load_model; from understudy.lab.base.model import weights_dir\n"
        "tokenizer = load_model(str(weights_dir()))[1]\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    with writing(Path('runs/x')): tokenizer.save_pretrained(sys.argv[1])\n"
        "except InputError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("runs/x: can't write (a checkpoint is not complete")
    assert done.stdout.count("\n") == 1
