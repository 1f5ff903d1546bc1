"""``understudy doctor``: what this machine can run, and what is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import Requirement

from understudy import __version__
from understudy.errors import MissingExtraError

DISK_GB = 2
"""Free space below which even the demo may not fit."""


class Extra(StrEnum):
    """What can be asked for."""

    TRAIN = "train"
    EVAL = "eval"


def command(
    needs: Annotated[
        Extra | None, typer.Option(help="End with exit code 2 unless what this extra brings is installed.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where results would go; its disk is looked at.")] = Path(),
) -> None:
    """Say what this machine can run, and what is missing."""
    typer.echo(f"understudy {__version__}, Python {platform.python_version()}, {platform.system()}")
    memory = f", {_gb(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES'))} of memory" if _has_sysconf() else ""
    typer.echo(f"{os.cpu_count()} cores{memory}")
    free = shutil.disk_usage(next(path for path in (out.resolve(), *out.resolve().parents) if path.exists())).free
    typer.echo(f"{_gb(free)} free on the disk of {out}" + ("; that is little" if free < DISK_GB * 1e9 else ""))
    for line in gpus():
        typer.echo(line)
    missing: dict[Extra, str] = {}
    for extra in Extra:
        problems = list(problems_of(extra))
        typer.echo(f"{extra}: " + ("; ".join(line for _, line in problems) or "all installed, as pinned"))
        if absent := [name for name, line in problems if line.endswith("is not installed")]:
            missing[extra] = absent[0]
    for line in abilities(missing):
        typer.echo(line)
    if needs in missing:
        raise MissingExtraError(missing[needs], needs)


def problems_of(extra: Extra) -> Iterator[tuple[str, str]]:
    """What an extra requires and this environment lacks or has in another version: package, and a line about it."""
    for text in metadata.requires("understudy") or ():
        wanted = Requirement(text)
        if wanted.marker is None or not wanted.marker.evaluate({"extra": extra}):
            continue
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            found = ""
        if not found or importlib.util.find_spec(wanted.name) is None:
            yield wanted.name, f"{wanted.name} is not installed"
        elif not wanted.specifier.contains(found, prereleases=True):
            yield wanted.name, f"{wanted.name} is {found}, tested with {wanted.specifier}"


def gpus() -> list[str]:
    """A line per GPU that the driver knows, or why there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ["no NVIDIA driver: training and local models run on the CPU"]
    asked = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ["nvidia-smi fails: the driver is broken, or no GPU is visible"]
    return [f"GPU {line}" for line in said.splitlines()] or ["no GPU is visible"]


def abilities(missing: dict[Extra, str]) -> Iterator[str]:
    """What can be run."""
    yield "can: synth, audit, score, index, ask with an endpoint, eval with an endpoint or without weights"
    yield ("cannot" if Extra.EVAL in missing else "can") + ": data sets as parquet, questions of the Hub"
    if Extra.TRAIN in missing:
        yield "cannot: demo, sft, grpo, ask and eval with a local model"
        return
    from understudy.training.devices import gpu_memory

    sizes = gpu_memory()
    place = f"on {len(sizes)} × GPU, the smallest of {_gb(min(sizes))}" if sizes else "on the CPU: tiny models only"
    yield f"can: demo, sft, grpo, ask and eval with a local model; torch computes {place}"
    for package, use in (("deepspeed", "configs/accelerate/deepspeed-*.yaml"), ("flash_attn", "faster packing")):
        if importlib.util.find_spec(package) is None:
            yield f"optional, not installed: {package} ({use})"


def _has_sysconf() -> bool:
    return hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB"
