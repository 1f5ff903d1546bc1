"""Paired differences, and the questions that changed sides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import films
from understudy.errors import InputError
from understudy.evaluation.compare import compare
from understudy.metric import paired_difference
from understudy.scoring import Rule


async def test_differences_are_paired_and_flips_named():
    some = await films.run(films.tasks, films.Scripted(films.solve_some))
    others = await films.run(
        films.tasks, films.Scripted(lambda task: ["<answer>?</answer>"] if task.id == "q001" else films.solve(task))
    )
    comparison = compare(some, others)
    assert comparison.em.value == pytest.approx((8 - 1) / 24)
    assert comparison.em.n == 24
    assert 0 < comparison.em.ci95[0] < comparison.em.value < comparison.em.ci95[1]
    assert [flip.task_id for flip in comparison.gained] == [f"q{number:03}" for number in range(3, 25, 3)]
    assert [flip.task_id for flip in comparison.lost] == ["q001"]
    assert (comparison.lost[0].first, comparison.lost[0].second) == ("Lindenfeld 1", "?")
    back = compare(others, some)
    assert back.em.value == -comparison.em.value
    assert (back.gained[0].task_id, len(back.lost)) == ("q001", 8)


async def test_only_the_same_questions_under_one_rule_compare():
    whole = await films.run(films.tasks, films.Scripted(films.solve))
    part = await films.run(films.tasks[:5], films.Scripted(films.solve))
    with pytest.raises(InputError, match="share 5 questions of 24 and 5"):
        compare(whole, part)
    other = await films.run(films.tasks, films.Scripted(films.solve), rule=Rule.MUSIQUE)
    with pytest.raises(InputError, match="use one rule"):
        compare(whole, other)
    same = compare(whole, whole)
    assert (same.em.value, same.em.ci95, same.gained, same.lost) == (0, (0, 0), (), ())


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_a_paired_difference_is_bounded_and_antisymmetric(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    forward, backward = paired_difference(first, second), paired_difference(second, first)
    assert -1 <= forward.ci95[0] <= forward.value <= forward.ci95[1] <= 1
    assert forward.value == pytest.approx(-backward.value)
    assert forward.value == pytest.approx(sum(second) / len(pairs) - sum(first) / len(pairs))
