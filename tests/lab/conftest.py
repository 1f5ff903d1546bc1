"""Universes and tasks that many tests of the lab read; none changes them."""

from __future__ import annotations

import pytest

from understudy.lab.live import LiveTools
from understudy.lab.tasks import make_tasks
from understudy.lab.universe import Universe
from understudy.task import Task


@pytest.fixture(scope="session")
def universe() -> Universe:
    return Universe(1)


@pytest.fixture(scope="session")
def tasks(universe: Universe) -> list[Task]:
    return make_tasks(universe, 400, seed=0)


@pytest.fixture(scope="session")
def live(universe: Universe) -> LiveTools:
    return LiveTools(universe)
