"""The judge's term: bounded, left out where it fails, and measured against exact match."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from handmade import BORN, DIRECTOR, TASK, failed, trace
from strategies import traces
from understudy.agents.judge import Judge, Verdict
from understudy.llm.scripted import ScriptedChat
from understudy.reward.composite import Weights, score
from understudy.reward.judged import judge_metrics, judged, verdicts
from understudy.scoring import exact_match
from understudy.task import Task
from understudy.trace import Status, Stop
from understudy.world import World

WEIGHTS = Weights(judge=0.1)
RIGHT, WRONG, NONE = trace(DIRECTOR, BORN), trace(DIRECTOR, BORN, answer="Curtis Harrington"), trace(answer=None)
SPOILT = trace(failed(DIRECTOR, Status.SIMULATOR_FAILURE), answer=None, stop=Stop.SIMULATOR_FAILURE)


def verdict(value):
    return Verdict(value, "why", 100, 0.5)


def rewards(*made):
    return [score(one, TASK, World("t1"), WEIGHTS) for one in made]


async def test_only_answers_that_count_are_judged():
    model = ScriptedChat(['{"reason": "shown", "score": 10}'] * 2)
    made = (RIGHT, NONE, SPOILT, WRONG)
    said = await verdicts(Judge(model), made, rewards(*made), 0)
    assert [one and one.score for one in said] == [1.0, None, None, 1.0]
    assert len(model.requests) == 2


def test_the_term_is_added_and_says_why_it_was_lost():
    made = (RIGHT, WRONG, NONE, SPOILT)
    before = rewards(*made)
    after = judged(made, before, [verdict(1.0), verdict(0.4), None, None], WEIGHTS)
    assert [new.total - old.total for new, old in zip(after, before, strict=True)] == pytest.approx([0.1, 0.04, 0, 0])
    assert [reward.terms.get("judge") for reward in after] == [1.0, 0.4, 0.0, None]
    assert ["judge" in reward.flaws for reward in after] == [False, True, False, False]
    assert after[3] == before[3]


def test_a_failed_verdict_leaves_the_comparison_within_its_task_as_it_was():
    other = RIGHT.model_copy(update={"task_id": "t2"})
    made = (RIGHT, RIGHT, RIGHT, other)
    after = judged(made, rewards(*made), [verdict(0.9), verdict(0.3), verdict(None), verdict(None)], WEIGHTS)
    totals = [reward.total for reward in after]
    assert totals[2] == pytest.approx((totals[0] + totals[1]) / 2)
    assert totals[3] == pytest.approx(1.3)


@given(traces(), traces(), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.2, exclude_max=True))
def test_no_judge_lifts_a_wrong_answer_over_a_right_one(right, wrong, low, high, weight):
    task, weights = Task(id="t", question="q", answers=(right.answer or "",)), Weights(judge=weight)
    assume(not exact_match(wrong.answer or "", task.answers))
    both = [score(one, task, World("t"), weights).model_copy(update={"masked": False}) for one in (right, wrong)]
    first, second = judged((right, wrong), both, [verdict(low), verdict(high)], weights)
    assert second.total < 1 <= first.total


def test_weights_count_the_judge():
    Weights(judge=0.19)
    with pytest.raises(ValidationError, match="wrong answer could beat"):
        Weights(judge=0.2)


def test_metrics_tell_cost_failures_and_agreement():
    said = [verdict(0.9), verdict(0.2), verdict(0.5), verdict(None), None]
    found = judge_metrics(said, [True, False, False, True, False])
    assert found.pop("judge/agreement") == (2, 3)
    assert found == {"judge/asked": (4, 1), "judge/failed": (1, 1), "judge/tokens": (400, 1), "judge/cost": (2.0, 1)}
    assert "judge/agreement" not in judge_metrics([None], [True])
