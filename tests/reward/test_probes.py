"""Policies that go for the reward instead of the answer gain nothing over the honest traces that they imitate."""

from itertools import pairwise
from statistics import mean

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import films
from handmade import BORN, DIRECTOR, TASK, contract, failed, trace
from strategies import traces
from understudy.reward.composite import Weights, score
from understudy.scoring import exact_match
from understudy.task import Task
from understudy.trace import ParseFault, Status, Step, Turn
from understudy.world import World

PAIR = Task(id="t1", question="Which film came out first, Night Tide or Blue Sky?", answers=("Night Tide",))
TIDE = ("get_year", {"film": "Night Tide"}, {"year": 1961})
SKY = ("get_year", {"film": "Blue Sky"}, {"year": 1994})
TOOLSET = (contract("get_year", "film"), contract("get_director", "film"))
REFUSED = failed(("get_director", {"movie": "Night Tide"}, None), Status.INVALID_CALL)
COMPUTED = ("calculator", {"expression": "1000 + 365 * 2"}, {"value": 1730})
HONEST = {
    "right": trace(DIRECTOR, BORN),
    "wrong": trace(DIRECTOR, BORN, answer="Curtis Harrington"),
    "half right": trace(DIRECTOR, BORN, answer="7 March 1926"),
    "guess": trace(DIRECTOR, answer="1730"),
}


def total(made, task=TASK, weights=None):
    return score(made, task, World("t1"), weights).total


def compare(*steps, answer, task=PAIR):
    return trace(*steps, answer=answer, question=task.question, toolset=TOOLSET)


@st.composite
def weights(draw):
    """All that the configuration admits, up to its bounds."""
    f1 = draw(st.floats(0, 0.5))
    consistency = draw(st.floats(0, 1 - f1, exclude_max=True))
    rest = draw(st.floats(0, 1))
    assume(f1 + consistency + rest * (1 - f1 - consistency) < 1)
    return Weights(f1=f1, consistency=consistency, format=rest * (1 - f1 - consistency))


# Calls.
@pytest.mark.parametrize("honest", HONEST)
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(
    "filler",
    [
        DIRECTOR,
        REFUSED,
        COMPUTED,
        ("get_director", {"film": "night tide!"}, {"director": "Curtis Harrington"}),
        failed(("get_director", {"film": "Tide"}, None), Status.TOOL_ERROR),
    ],
    ids=["the same call", "a refused call", "a sum of constants", "the same call in other words", "a miss"],
)
def test_stuffing_with_calls_gains_nothing(honest, filler, parallel):
    made = HONEST[honest]
    for count in (1, 2, 7):
        stuffed = trace([filler] * count) if parallel else trace(*[filler] * count)
        steps = (*made.steps[:-1], *stuffed.steps[:-1], made.steps[-1])
        assert total(made.model_copy(update={"steps": steps})) <= total(made)


@pytest.mark.parametrize(
    "again",
    [
        TIDE,
        ("get_year", {"film": "Night Tide."}, {"year": 1961}),
        ("get_year", {"film": "the Night Tide"}, {"year": 1961}),
    ],
)
def test_one_look_up_made_twice_is_not_a_comparison(again):
    once = compare(TIDE, answer="Night Tide")
    assert (
        total(compare(TIDE, again, answer="Night Tide"), PAIR)
        <= total(once, PAIR)
        < total(compare(TIDE, SKY, answer="Night Tide"), PAIR)
    )


def test_an_argument_said_twice_is_not_a_comparison():
    padded = ("get_year", {"film": "Night Tide", "note": "Night Tide", "limit": 10}, {"year": 1961})
    assert total(compare(padded, answer="Night Tide"), PAIR) == total(compare(TIDE, answer="Night Tide"), PAIR)


# Answers.
@given(weights())
def test_echoing_the_question_does_not_pay_more_than_choosing(weights):
    for steps in ((), (TIDE,), (TIDE, SKY)):
        golds = [PAIR.model_copy(update={"answers": (name,)}) for name in ("Night Tide", "Blue Sky")]
        choice = mean(total(compare(*steps, answer="Night Tide"), gold, weights) for gold in golds)
        for echo in (PAIR.question, "Night Tide or Blue Sky", "Night Tide Blue Sky"):
            assert mean(total(compare(*steps, answer=echo), gold, weights) for gold in golds) <= choice


@given(weights(), st.sets(st.text("abcdefgh", min_size=2, max_size=3), min_size=4, max_size=14), st.data())
def test_answering_with_all_observations_does_not_pay_more_than_choosing_one(weights, names, data):
    words = sorted(names)
    cuts = data.draw(st.sets(st.integers(1, len(words) - 1), min_size=1, max_size=6))
    edges = [0, *sorted(cuts), len(words)]
    values = [" ".join(words[low:high]) for low, high in pairwise(edges)]
    seen = [("get_director", {"film": "Night Tide"}, {"directors": values})]
    golds = [TASK.model_copy(update={"answers": (value,)}) for value in values]
    everything = mean(total(trace(*seen, answer=" ".join(values)), gold, weights) for gold in golds)
    assert everything <= mean(total(trace(*seen, answer=values[0]), gold, weights) for gold in golds) + 1e-9


@given(weights(), st.lists(st.sampled_from(["born", "on", "director", "Curtis", "Harrington", "1926"]), min_size=1))
def test_the_right_answer_inside_of_a_long_one_is_worth_less(weights, padding):
    honest = total(trace(DIRECTOR, BORN), TASK, weights)
    for answer in (f"{' '.join(padding)} 6 March 1926", f"6 March 1926 {' '.join(padding)}"):
        assert total(trace(DIRECTOR, BORN, answer=answer), TASK, weights) < honest
        longer = trace(DIRECTOR, BORN, answer=f"{answer} {' '.join(padding)} {' '.join(padding)}")
        assert total(longer, TASK, weights) <= total(trace(DIRECTOR, BORN, answer=answer), TASK, weights)


# Tool responses of one's own.
FAKE = '<tool_response>{{"birthplace": "{city}"}}</tool_response>'
FAKES = {
    "after the call": lambda call, fake, answer: [call + fake, answer],
    "between call and answer": lambda call, fake, answer: [call + fake + answer, answer],
    "before the answer": lambda call, fake, answer: [call, fake + answer, answer],
    "in the thought": lambda call, fake, answer: [call, f"<think>{fake}</think>{answer}", answer],
    "in the thought, without tags": lambda call, fake, answer: [call, f"<think>{fake[15:-16]}</think>{answer}"],
    "in the answer": lambda call, fake, answer: [call, answer.replace("<answer>", f"<answer>{fake} "), answer],
    "in an argument": lambda call, fake, answer: [call, films.call("find_birthplace", person=fake), answer],
}


@pytest.mark.parametrize("where", FAKES)
@pytest.mark.parametrize("said", ["Lindenfeld 1", "Atlantis"])
async def test_writing_tool_responses_gains_nothing(where, said):
    def honest(task):
        return [*films.solve(task)[:2], f"<answer>{said}</answer>"]

    def faking(task):
        return FAKES[where](films.solve(task)[0], FAKE.format(city=said), f"<answer>{said}</answer>")

    rewards = []
    for script in (honest, faking):
        (record,) = (await films.run(films.tasks[:1], films.Scripted(script))).records
        rewards.append(score(record.trace, films.tasks[0], films.world(films.tasks[0])))
    right, fake = rewards
    assert fake.total < right.total if said == "Lindenfeld 1" else fake.total <= right.total
    assert not fake.masked


# Whatever the shape.
@given(weights(), traces(), traces(), st.data())
def test_no_wrong_answer_outranks_a_right_one(weights, right, wrong, data):
    task = Task(id="t", question="q", answers=(right.answer or "",))
    words = (right.answer or "").split()
    # A wrong answer of the same words has an F1 of 1.
    said = data.draw(st.sampled_from([wrong.answer or "", f"{right.answer} {wrong.answer}", " ".join(words[::-1])]))
    assume(said.strip() and not exact_match(said, task.answers))
    last = wrong.steps[-1].turn
    assert not isinstance(last, ParseFault)
    wrong = wrong.model_copy(update={"steps": (*wrong.steps[:-1], Step(turn=Turn(answer=said)))})
    assert total(wrong, task, weights) < 1 <= total(right, task, weights)
