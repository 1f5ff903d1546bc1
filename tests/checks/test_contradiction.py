"""Statements that deny what is known, and many that only look as if."""

import pytest

from handmade import BORN, DIRECTOR, trace
from understudy.checks.contradiction import agree, all_contradictions, contradictions, misstatements
from understudy.task import Fact

FACTS = (
    Fact(subject="Night Tide", relation="director", object="Curtis Harrington"),
    Fact(subject="Curtis Harrington", relation="date of birth", object="6 March 1926"),
    Fact(subject="Fargo", relation="director", object="Joel Coen"),
    Fact(subject="Fargo", relation="director", object="Ethan Coen"),
)


@pytest.mark.parametrize(
    ("content", "arguments", "name"),
    [
        ({"director": "Orson Welles"}, {"film": "Night Tide"}, ""),
        ({"director": "Orson Welles", "year": "1961"}, {"film": "night tide"}, ""),
        ({"date_of_birth": "7 March 1926"}, {"person": "Curtis Harrington"}, ""),
        ({"dateOfBirth": "1927"}, {"person": "Curtis Harrington"}, ""),
        ({"value": "Orson Welles"}, {"film": "Night Tide"}, "get_director"),
        ({"director": ["Joel Coen", "Orson Welles"]}, {"film": "Fargo"}, ""),
        ({"hits": [{"film": "Night Tide", "director": "Orson Welles"}]}, {"film": "Night Tide"}, ""),
    ],
)
def test_another_value_for_a_known_relation_is_a_contradiction(content, arguments, name):
    problems = contradictions(content, arguments, FACTS, name)
    assert len(problems) == 1
    assert ", but " in problems[0]


@pytest.mark.parametrize(
    ("content", "arguments", "name"),
    [
        ({"director": "curtis harrington"}, {"film": "Night Tide"}, ""),
        ({"hits": [{"film": "High Tide", "director": "Orson Welles"}]}, {"film": "Night Tide"}, ""),
        ({"hits": [{"film": "Night Tide", "director": "Curtis Harrington"}, 7]}, {"film": "Night Tide"}, ""),
        ({"director": "Curtis Harrington (1926-2007)"}, {"film": "Night Tide"}, ""),
        ({"date_of_birth": "1926-03-06"}, {"person": "Curtis Harrington"}, ""),
        ({"date_of_birth": "March 6, 1926"}, {"person": "Curtis Harrington"}, ""),
        ({"date_of_birth": "1926"}, {"person": "Curtis Harrington"}, ""),
        ({"director": "Ethan Coen"}, {"film": "Fargo"}, ""),
        ({"director": "unknown"}, {"film": "Night Tide"}, ""),
        ({"producer": "Orson Welles"}, {"film": "Night Tide"}, "get_producer"),
        ({"director": "Orson Welles"}, {"film": "Citizen Kane"}, ""),
        ({"value": "Orson Welles", "score": 1}, {"film": "Night Tide"}, "get_director"),
        ({"director": "Joel Coen"}, {"first": "Fargo", "second": "Night Tide"}, ""),
        ({"director": {"name": "Orson Welles"}}, {"film": "Night Tide"}, ""),
        ({"director": None}, {"film": "Night Tide"}, ""),
        ("Orson Welles", {"film": "Night Tide"}, "get_director"),
    ],
)
def test_no_false_alarm(content, arguments, name):
    assert contradictions(content, arguments, FACTS, name) == []


@pytest.mark.parametrize(("one", "other"), [("1,200 km", "1200"), ("Paris", "Paris, France"), ("US", "unknown")])
def test_values_that_agree(one, other):
    assert agree(one, other)
    assert agree(other, one)


def test_all_observations_of_a_trace_are_compared():
    wrong = ("get_director", {"film": "Night Tide"}, {"director": "Orson Welles"})
    assert len(all_contradictions(trace(wrong, BORN), FACTS)) == 1
    assert all_contradictions(trace(DIRECTOR, BORN), FACTS) == []


@pytest.mark.parametrize(
    "thought",
    [
        "The director of Night Tide is Orson Welles.",
        "So Night Tide's director was Orson Welles, and I need his date of birth.",
    ],
)
def test_a_policy_that_restates_an_observation_wrongly_is_caught(thought):
    assert [flaw.turn for flaw in misstatements(trace(DIRECTOR, thought, BORN))] == [1]
    assert [flaw.turn for flaw in misstatements(trace(DIRECTOR, BORN, thought=thought))] == [2]


@pytest.mark.parametrize(
    "thought",
    [
        "The director of Night Tide is Curtis Harrington, so I look up his date of birth.",
        "The director of Night Tide is Harrington.",
        "The director of Night Tide is what I had to find.",
        "If the director of Night Tide is Orson Welles, then 1915.",
        "The producer of Night Tide is Aram Kantarian.",
        "Is the director of Night Tide Orson Welles?",
    ],
)
def test_other_statements_pass(thought):
    assert misstatements(trace(DIRECTOR, thought, BORN)) == []


def test_a_guess_before_the_observation_is_no_misstatement():
    assert misstatements(trace("The director of Night Tide is Orson Welles.", DIRECTOR, BORN)) == []
