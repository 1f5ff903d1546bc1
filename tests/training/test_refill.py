"""Dynamic sampling: groups without contrast make room, in a way that a resumed run repeats."""

from __future__ import annotations

import asyncio

import pytest

from guessing import Killed, LookUp, configured, metrics
from handmade import TASK, trace
from understudy.reward.composite import Reward
from understudy.training.grpo import grpo
from understudy.training.models import load_model
from understudy.training.refill import has_contrast, refill, spares
from understudy.training.rollouts import Batch

FLAT, LIVELY = (0.3, 0.3), (0.3, 1.2)


def rewards(*totals):
    return [Reward(total=total or 0.0, terms={}, masked=total is None) for total in totals]


def batch(**groups):
    """Task id → the rewards of its group (None where a simulator failed)."""
    tasks = [TASK.model_copy(update={"id": name}) for name, group in groups.items() for _ in group]
    made = [trace().model_copy(update={"task_id": task.id}) for task in tasks]
    return Batch(tasks, made, rewards(*(total for group in groups.values() for total in group)), None, 1.0, 0.5)


def refilled(drawn, others, rounds, places=None, group=2):
    """Refill, where the tasks that may stand in have the rewards given."""
    asked = []

    async def roll(names):
        asked.append(names)
        return batch(**{name: others[name] for name, _ in names})

    places = places or [at % group for at in range(len(drawn.tasks))]
    return asyncio.run(refill(drawn, places, group, list(others), rounds, roll)), asked


def ids(done):
    assert [task.id for task in done.batch.tasks] == [made.task_id for made in done.batch.traces]
    return [task.id for task in done.batch.tasks]


def test_only_rewards_that_count_make_contrast():
    assert has_contrast(rewards(0.3, 1.2, None))
    assert not has_contrast(rewards(0.3, 0.3, None))
    assert not has_contrast(rewards(0.1 + 0.2, 0.3))  # one sum, rounded otherwise
    assert not has_contrast(rewards(1.2, None))
    assert not has_contrast(rewards(None, None))


def test_groups_without_contrast_make_room():
    drawn = batch(a=FLAT, b=LIVELY, c=FLAT, d=(None, None))
    done, asked = refilled(drawn, {"e": LIVELY, "f": FLAT, "g": LIVELY, "h": LIVELY}, rounds=3)
    assert ids(done) == ["e", "e", "b", "b", "h", "h", "g", "g"]
    assert [name for name, _ in asked[0]] == ["e", "e", "f", "f", "g", "g"]
    assert asked[1] == [("h", 0), ("h", 1)]
    assert (done.before, done.after, done.rollouts) == (0.75, 0.0, 16)
    assert done.metrics()["seconds/rollouts"] == 3.0
    assert [reward.total for reward in done.batch.rewards] == [*LIVELY] * 4


@pytest.mark.parametrize(("rounds", "others"), [(1, {"e": FLAT, "f": LIVELY}), (5, {"e": FLAT}), (5, {})])
def test_a_group_that_nothing_better_is_found_for_stays(rounds, others):
    done, asked = refilled(batch(a=FLAT, b=LIVELY), others, rounds)
    assert ids(done) == ["a", "a", "b", "b"]
    assert (done.before, done.after) == (0.5, 0.5)
    assert len(asked) <= 1


def test_with_contrast_everywhere_nothing_is_spent():
    drawn = batch(a=LIVELY, b=LIVELY)
    done, asked = refilled(drawn, {"e": LIVELY}, rounds=2)
    assert (done.before, done.after, done.rollouts, asked) == (0.0, 0.0, 4, [])


def test_a_group_that_is_shared_with_another_device_is_left_to_it():
    drawn = batch(a=(0.3,), b=FLAT, c=(0.3,))  # the end of one group, a whole one, the beginning of one
    done, _ = refilled(drawn, {"e": LIVELY, "f": LIVELY}, rounds=1, places=[1, 0, 1, 0])
    assert ids(done) == ["a", "e", "e", "c"]
    assert (done.before, done.after) == (1.0, 0.0)


def test_spare_tasks_follow_from_the_step():
    tasks = [f"t{index}" for index in range(20)]
    found = spares(tasks, tasks[:4], "0/7", 8)
    assert len(found) == len(set(found)) == 8
    assert not set(found) & set(tasks[:4])
    assert found == spares(reversed(tasks), set(tasks[:4]), "0/7", 8) != spares(tasks, tasks[:4], "0/8", 8)
    assert len(spares(tasks, tasks[:4], "0/7", 99)) == 16


def test_a_killed_run_that_refills_goes_on_exactly(start, given, tmp_path):
    """Two rollouts a group: many have no contrast. Faults rise with the steps, so these have to be found again too."""
    faults = {"end": {"tool_error": 0.5, "noise": 0.5}}
    config = configured(
        start, steps=4, generations=2, prompts=4, refill=2, save_every=1, faults=faults, watch={"patience": 0}
    )

    def kill(progress):
        if progress.step == 5:
            raise Killed

    grpo(config, tmp_path / "whole", given, LookUp())
    with pytest.raises(Killed):
        grpo(config, tmp_path / "killed", given, LookUp(), on_progress=kill)
    grpo(config, tmp_path / "killed", given, LookUp(), resume=True)
    lines = metrics(tmp_path / "whole")
    assert lines == metrics(tmp_path / "killed")
    first, second = (load_model(str(tmp_path / run / "model"))[0].state_dict() for run in ("whole", "killed"))
    assert all(bool((first[name] == second[name]).all()) for name in first)
    steps = [line for line in lines if "refill/rollouts" in line]
    assert len(steps) == 4
    assert any(line["refill/flat_after"] < line["refill/flat_before"] for line in steps)
    assert all(line["refill/flat_after"] == line["frac_reward_zero_std"] for line in steps)
    assert all((line["refill/rollouts"] > 8) == (line["refill/flat_before"] > 0) for line in steps)
    assert steps[0]["faults/tool_error"] == steps[0]["faults/noise"] == 0.0
    assert max(line["faults/tool_error"] + line["faults/noise"] for line in steps) > 0
