"""Shared fixtures. ``shared_data`` is the folder of real benchmark rows that may lie beside the repository."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before any test imports torch: two workers with a thread per core each would wait for each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Answers are kept in the user's cache folder, which tests must neither fill nor find something in.
_cache = tempfile.TemporaryDirectory(prefix="understudy-cache-")
os.environ["XDG_CACHE_HOME"] = _cache.name


# What is slow says nothing on a machine that does other work.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data (real benchmark rows), which is not beside this checkout")
    return folder
