"""Shared fixtures. ``shared_data`` is the folder of real benchmark rows that may lie beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data (real benchmark rows), which is not beside this checkout")
    return folder
