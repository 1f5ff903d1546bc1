"""Commands start quickly: what they import is imported once."""

from __future__ import annotations

import pytest

import commands


@pytest.fixture(scope="session", autouse=True)
def _forking():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in commands.SETTINGS.items():
            patch.setenv(name, value)
        commands.start_forking()
