"""Where arguments and answers come from."""

import pytest

from handmade import BORN, DIRECTOR, TOOLSET, contract, failed, trace
from understudy.checks.flaw import Flaw
from understudy.checks.grounding import grounding
from understudy.trace import Status


def test_a_chain_from_question_over_observation_to_answer_is_grounded():
    found = grounding(trace(DIRECTOR, BORN))
    assert found.ungrounded == ()
    assert found.answer
    assert found.looked_up


def test_an_entity_that_nothing_gave_is_named():
    found = grounding(trace(BORN))
    assert found.ungrounded == (Flaw(turn=0, what="get_date_of_birth.person: 'Curtis Harrington'"),)


def test_calls_of_one_turn_do_not_ground_each_other():
    assert grounding(trace([DIRECTOR, BORN])).ungrounded


def test_an_error_that_repeats_the_argument_grounds_nothing():
    miss = failed(BORN, Status.TOOL_ERROR, "no record of Curtis Harrington")
    assert len(grounding(trace(miss, BORN)).ungrounded) == 2


def test_a_refused_call_is_passed_over():
    assert grounding(trace(failed(BORN, Status.INVALID_CALL), DIRECTOR)).ungrounded == ()


@pytest.mark.parametrize(
    ("expression", "grounded"),
    [
        ("2001 - 1926", False),
        ("1984 - 1926", True),
        ("(1984 + 1926) / 2", True),
        ("round(1926.0 / 365)", True),
        ("1926 - 1,984", True),
        ("max(1926, 77)", False),
    ],
)
def test_expressions_are_grounded_by_their_operands(expression, grounded):
    steps = [DIRECTOR, BORN, ("calculator", {"expression": expression}, {"value": 58})]
    found = grounding(trace(*steps, question="Was the director of Night Tide alive in 1984?"))
    assert (found.ungrounded == ()) is grounded


@pytest.mark.parametrize(
    ("start", "grounded"), [("1926-03-06", True), ("March 6, 1926", True), ("1926-01-01", True), ("1926-03-07", False)]
)
def test_dates_are_grounded_in_any_notation(start, grounded):
    step = ("date_add", {"start": start, "days": 10}, {"date": "16 March 1926"})
    assert (grounding(trace(DIRECTOR, BORN, step)).ungrounded == ()) is grounded


@pytest.mark.parametrize(
    ("query", "grounded"),
    [
        ("Night Tide director", True),
        ("Director of the film Night Tide", True),
        ("who made Night Tide", True),
        ("Curtis Harrington biography", False),
        ("curtis harrington", False),
        ("Night Tide Curtis Harrington", False),
        ("Harrington films", False),
        ("Nora Tide", False),
    ],
)
def test_queries_are_grounded_by_the_names_in_them(query, grounded):
    tools = (*TOOLSET, contract("search", "query"))
    found = grounding(trace(("search", {"query": query}, {"hits": ["a text"]}), toolset=tools))
    assert (found.ungrounded == ()) is grounded


def test_the_vocabulary_of_the_contract_is_free():
    tool = TOOLSET[0].model_copy(update={"name": "lookup", "description": "property: one of spouse, employer"})
    step = ("lookup", {"film": "Night Tide", "property": "employer"}, {"employer": "X"})
    assert grounding(trace(step, toolset=(tool,))).ungrounded == ()
    assert grounding(trace(step, toolset=())).ungrounded != ()


@pytest.mark.parametrize(
    ("answer", "grounded"),
    [
        ("March 6, 1926", True),
        ("1926-03-06", True),
        ("Curtis Harrington", True),
        ("7 March 1926", False),
        ("Rome", False),
    ],
)
def test_an_answer_has_to_be_observed(answer, grounded):
    assert grounding(trace(DIRECTOR, BORN, answer=answer)).answer is grounded


def test_without_calls_no_answer_is_grounded():
    for answer in ("yes", "Night Tide", "6 March 1926", "0"):
        assert not grounding(trace(answer=answer)).answer
    assert not grounding(trace(DIRECTOR, answer=None)).answer


COMPARISON = "Which film came first, Night Tide or Blue Sky?"
TIDE = ("get_year", {"film": "Night Tide"}, {"year": "1961"})


SKY = ("get_year", {"film": "Blue Sky"}, {"year": "1994"})
HITS = ("search", {"query": "Night Tide Blue Sky year"}, {"hits": ["Night Tide is of 1961.", "Blue Sky is of 1994."]})


@pytest.mark.parametrize("answer", ["Night Tide", "yes"])
def test_a_comparison_needs_both_operands(answer):
    assert grounding(trace(TIDE, SKY, answer=answer, question=COMPARISON)).answer
    assert grounding(trace(HITS, answer=answer, question=COMPARISON)).answer
    assert not grounding(trace(TIDE, answer=answer, question=COMPARISON)).answer
    assert not grounding(trace(TIDE, failed(SKY, Status.TOOL_ERROR), answer=answer, question=COMPARISON)).answer


def test_an_answer_that_the_question_names_needs_a_look_up_about_itself():
    other = ("get_year", {"film": "Ben Hur"}, {"year": "1959"})
    assert not grounding(trace(TIDE, other, answer="Blue Sky", question=COMPARISON)).answer


def test_yes_and_no_need_a_look_up_about_something_in_the_question():
    question = "Was Night Tide made in colour?"
    assert grounding(trace(TIDE, answer="yes", question=question)).answer
    elsewhere = ("get_year", {"film": "Ben Hur"}, {"year": "1959"})
    assert not grounding(trace(elsewhere, answer="yes", question=question)).answer
    computed = ("calculator", {"expression": "1 + 1"}, {"value": 2})
    assert not grounding(trace(computed, answer="no", question=question)).answer


def test_numbers_may_be_sums_or_differences_of_observed_ones():
    assert grounding(trace(TIDE, SKY, answer="33 years", question=COMPARISON)).answer
    assert grounding(trace(TIDE, SKY, answer="32", question=COMPARISON)).answer  # the birthday has not come yet
    assert not grounding(trace(TIDE, SKY, answer="30", question=COMPARISON)).answer


def test_a_utility_fed_with_an_invention_grounds_nothing():
    echo = ("calculator", {"expression": "Orson Welles"}, {"value": "orson welles"})
    found = grounding(trace(DIRECTOR, echo, answer="Orson Welles"))
    assert not found.answer
    assert len(found.ungrounded) == 1
