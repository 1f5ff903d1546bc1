"""Tools and worlds are made once, kept, and taken again; what can't be made is data."""

from __future__ import annotations

import json

import pytest

import films
from understudy.errors import InputError, ModelError
from understudy.evaluation.prepared import PREPARED, keep_memories, prepare, take
from understudy.evaluation.runner import evaluate
from understudy.rollout import Limits
from understudy.trace import Stop


class Maker:
    """Makes the toolset of the films, but not for every fifth question."""

    def __init__(self):
        self.made = []

    async def __call__(self, task):
        self.made.append(task.id)
        if int(task.id[1:]) % 5 == 0:
            raise ModelError("toolmaker: no usable reply")
        return films.TOOLSET, films.world(task)


async def scored(offers):
    return await evaluate(
        films.tasks, offers.toolsets, offers.worlds, films.Scripted(films.solve), films.Tables(), Limits(),
        unready=offers.unready,
    )  # fmt: skip


async def test_what_could_not_be_made_is_lost_to_the_simulator(tmp_path):
    result = await scored(await prepare(films.tasks, Maker(), None, 4))
    assert result.simulator_failures == ("q005", "q010", "q015", "q020")
    assert result.stops == {Stop.ANSWERED: 20, Stop.SIMULATOR_FAILURE: 4}
    assert {record.detail for record in result.records} == {"", "toolmaker: no usable reply"}
    assert result.em.value == pytest.approx(20 / 24)


async def test_a_killed_preparation_goes_on_and_gives_the_same(tmp_path):
    path = tmp_path / PREPARED
    whole = await prepare(films.tasks, Maker(), path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:9]) + lines[9][:50])
    maker = Maker()
    again = await prepare(films.tasks, maker, path, 4)
    assert len(maker.made) == 24 - 9
    assert (again.toolsets, again.unready) == (whole.toolsets, whole.unready)
    assert {key: world.id for key, world in again.worlds.items()} == {
        key: world.id for key, world in whole.worlds.items()
    }
    assert (await scored(again)).timeless() == (await scored(whole)).timeless()


async def test_a_later_run_takes_the_same_tools_and_remembers_what_they_said(tmp_path):
    offers = await prepare(films.tasks, Maker(), tmp_path / PREPARED, 4)
    keep_memories(tmp_path / PREPARED, offers, (await scored(offers)).records)
    taken = take(tmp_path, films.tasks)
    assert taken.toolsets == offers.toolsets
    assert len(taken.worlds["q001"].memo) == 2
    said = {remembered.content.get("director") for remembered in taken.worlds["q001"].memo.values()}
    assert "Anna Bergström 1" in said
    with pytest.raises(InputError, match="has no tools for the question 'q099'"):
        take(tmp_path, [films.bridge(99)])


async def test_what_is_no_preparation_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"neither an evaluation with made tools .* nor a synthesis"):
        take(tmp_path, films.tasks)
    (tmp_path / PREPARED).write_text(json.dumps({"task_id": "q001"}) + "\n")
    with pytest.raises(InputError, match=r"prepared\.jsonl:1: not a prepared question"):
        take(tmp_path, films.tasks)
