"""The simulated-to-live gap: paired, and how much the observations agree."""

from __future__ import annotations

import pytest
from hypothesis import given

import filmlibrary as library
import films
import strategies
from understudy.cli.policies import open_policy
from understudy.errors import InputError
from understudy.evaluation.gap import gap, overlap, run_gap
from understudy.trace import Observation, Source


class Changed(films.Tables):
    """The same tools, but for some questions they say something else, or nothing."""

    async def call(self, contract, call, world):
        seen = await super().call(contract, call, world)
        number = int(world.task_id[1:])
        if number % 4 == 0 and contract.name == "find_birthplace":
            return Observation(call_id=call.id, name=call.name, content={"birthplace": "Elsewhere"}, source=Source.LIVE)
        return seen


async def test_what_flipped_and_what_agreed():
    simulated = await films.run(films.tasks, films.Scripted(films.solve))
    live = await films.run(films.tasks, films.Scripted(films.solve_some), tools=Changed())
    found = gap(simulated, live)
    assert (found.simulated.value, found.live.value) == (1, pytest.approx(2 / 3))
    assert found.difference.em.value == pytest.approx(-1 / 3)
    assert [flip.task_id for flip in found.difference.lost] == [f"q{n:03}" for n in range(3, 25, 3)]
    assert found.observations.shared.value == 1
    assert found.observations.words.value == pytest.approx(
        1 - (6 / 48) * (1 - overlap({"birthplace": "Elsewhere"}, {"birthplace": "Lindenfeld 4"}))
    )
    assert found.observations.answer.value == pytest.approx(1 - 6 / 48)


async def test_calls_that_only_one_side_made_are_not_compared():
    def other(task):
        return [films.call("find_composer", film=task.source.split("|")[0]), "<answer>x</answer>"]

    found = gap(
        await films.run(films.tasks, films.Scripted(films.solve)), await films.run(films.tasks, films.Scripted(other))
    )
    assert found.observations.shared.value == 0
    assert found.observations.shared.n == 3 * 24
    assert found.observations.words.n == 0


async def test_a_gap_needs_both_sides(tmp_path):
    config = library.config(*library.write(tmp_path))
    with pytest.raises(InputError, match=r"needs toolset = \"search\" and both tables"):
        await run_gap(config, tmp_path / "gap", open_policy)


@given(strategies.json_values, strategies.json_values)
def test_overlap_is_symmetric_and_bounded(first, second):
    assert 0 <= overlap(first, second) == overlap(second, first) <= 1
    assert overlap(first, first) == 1
