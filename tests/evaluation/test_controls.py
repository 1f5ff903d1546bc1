"""Controls: nothing done scores nothing, and guessing has a known level."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import films
from understudy.evaluation.controls import NoOp, NoTools, chance_level, without_tools
from understudy.scoring import Rule
from understudy.task import Task
from understudy.trace import Stop


@pytest.mark.parametrize("rule", list(Rule))
async def test_the_no_op_policy_scores_exactly_0(rule):
    # "The" normalises to nothing, which MuSiQue's F1 would find equal to no answer.
    tasks = [*films.tasks, films.bridge(99).model_copy(update={"answers": ("The The",)})]
    result = await films.run(tasks, NoOp(), rule=rule)
    assert (result.em.value, result.f1.value, result.calls.value) == (0, 0, 0)
    assert result.em.n == 25
    assert result.stops == {Stop.MALFORMED: 25}


async def test_without_tools_every_call_is_refused():
    result = await films.run(
        films.tasks, films.Scripted(films.solve), toolsets=without_tools(films.tasks), tools=NoTools()
    )
    assert result.invalid_calls.value == 1
    assert result.tools == "none"


def test_the_chance_level_is_the_mean_guess():
    def task(number, question, *answers):
        return Task(id=str(number), question=question, answers=answers)

    tasks = [
        task(1, "Is Ada older than Bea?", "Yes"),
        task(2, "Who is older, Ada Lund or Bea Moe?", "Bea Moe"),
        task(3, "Who directed Red Harbour?", "Anna Berg"),
        task(4, "Who directed Harbours?", "Harbour", "The"),
    ]
    assert chance_level(tasks).value == 0.25
    assert chance_level(tasks, guess=lambda task: 1.0).value == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_chance_stays_within_its_interval(guesses):
    tasks = [Task(id=str(index), question="?", answers=("x",)) for index in range(len(guesses))]
    level = chance_level(tasks, guess=lambda task: guesses[int(task.id)])
    assert level.ci95[0] - 1e-9 <= level.value <= level.ci95[1] + 1e-9
