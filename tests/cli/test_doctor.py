"""``understudy doctor`` says what is there and what is missing."""

from __future__ import annotations

from importlib import metadata

import pytest

from understudy.cli import doctor
from understudy.errors import MissingExtraError


@pytest.fixture
def said(capsys):
    def say(**options):
        doctor.command(**options)
        return capsys.readouterr().out

    return say


def without(monkeypatch, name, found=None):
    """An environment in which a package is not installed, or is of another version."""
    real = metadata.version

    def version(package):
        if package != name:
            return real(package)
        if found is None:
            raise metadata.PackageNotFoundError(package)
        return found

    monkeypatch.setattr(doctor.metadata, "version", version)


def test_it_tells_all_in_plain_lines(said, tmp_path):
    text = said(out=tmp_path / "not" / "there" / "yet")
    for part in ("understudy ", "Python ", "cores", "free on the disk", "train: ", "eval: ", "can: demo, sft, grpo"):
        assert part in text


def test_a_missing_package_is_named_and_counts_if_it_was_asked_for(said, monkeypatch, tmp_path):
    without(monkeypatch, "trl")
    text = said(out=tmp_path)
    assert "train: trl is not installed" in text
    assert "cannot: demo, sft, grpo" in text
    assert "can: data sets as parquet" in said(out=tmp_path, needs=doctor.Extra.EVAL)
    with pytest.raises(MissingExtraError, match=r"pip install 'understudy\[train\]'"):
        doctor.command(needs=doctor.Extra.TRAIN, out=tmp_path)


def test_another_version_than_the_pinned_one_is_said_and_is_no_failure(said, monkeypatch, tmp_path):
    without(monkeypatch, "trl", found="0.1")
    assert "trl is 0.1, tested with ==1.16.0" in said(out=tmp_path, needs=doctor.Extra.TRAIN)


def test_gpus_are_listed_by_the_driver(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.gpus() == ["GPU NVIDIA H200, 143771 MiB"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert "nvidia-smi fails" in doctor.gpus()[0]
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "no NVIDIA driver" in doctor.gpus()[0]
