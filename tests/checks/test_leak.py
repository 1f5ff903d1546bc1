"""Tasks that give their answer away, and calls made twice."""

from handmade import BORN, DIRECTOR, TASK, TOOLSET, contract, trace
from understudy.checks.leak import Oracles, leaking_tools, one_call_oracles
from understudy.checks.repetition import repeated

ORACLE = ("get_birth", {"film": "Night Tide"}, {"born": "6 March 1926"})


def test_a_tool_whose_text_says_the_answer_leaks():
    told = contract("get_year").model_copy(update={"description": "Gives March 6, 1926."})
    hinted = contract("find").model_copy(
        update={"parameters": {"type": "object", "properties": {"year": {"type": "string", "enum": ["1926", "1930"]}}}}
    )
    assert leaking_tools(TASK, (*TOOLSET, told, hinted)) == ["get_year", "find"]
    assert leaking_tools(TASK, TOOLSET) == []


def test_words_of_the_schema_language_are_no_text():
    assert leaking_tools(TASK.model_copy(update={"answers": ("object",)}), TOOLSET) == []


def test_answers_that_the_question_names_cannot_leak():
    comparison = TASK.model_copy(
        update={"question": "Which is older, A film or Night Tide?", "answers": ("Night Tide",)}
    )
    told = contract("get_year").model_copy(update={"description": "As for Night Tide."})
    assert leaking_tools(comparison, (told,)) == []
    assert leaking_tools(TASK.model_copy(update={"answers": ("yes",)}), (contract("is_yes"),)) == []


def test_one_call_from_the_question_to_the_answer_is_an_oracle():
    assert one_call_oracles(trace(ORACLE), TASK) == ["get_birth"]
    assert one_call_oracles(trace(DIRECTOR, BORN), TASK) == []


def test_a_question_that_names_its_bridge_is_an_oracle_but_following_it_is_no_shortcut():
    task = TASK.model_copy(update={"question": "When was the director of Night Tide (Curtis Harrington film) born?"})
    assert one_call_oracles(trace(DIRECTOR, BORN), task) == ["get_date_of_birth"]
    assert one_call_oracles(trace(DIRECTOR, BORN), task, shortcut=True) == []
    assert one_call_oracles(trace(BORN, DIRECTOR), task, shortcut=True) == ["get_date_of_birth"]


def test_one_hop_and_unknown_hops_have_no_oracle():
    for hops in (1, None):
        assert one_call_oracles(trace(ORACLE), TASK.model_copy(update={"hops": hops})) == []
    assert one_call_oracles(trace(ORACLE), TASK.model_copy(update={"hops": None}), assumed_hops=2) == ["get_birth"]


def test_share_over_tasks():
    oracles, single = Oracles(), TASK.model_copy(update={"hops": 1})
    unknown = TASK.model_copy(update={"hops": None})
    for task, made in ((TASK, ORACLE), (TASK, DIRECTOR), (unknown, ORACLE), (single, ORACLE)):
        oracles.add(trace(made), task)
    assert (oracles.share.n, oracles.found) == (3, 2)


def test_repeated_calls_are_found_up_to_key_order_case_and_space():
    one = ("find", {"a": "X y", "b": 1}, {})
    again = ("find", {"b": 1.0, "a": "x  Y"}, {})
    (flaw,) = repeated(trace(one, DIRECTOR, again))
    assert flaw.turn == 2
    assert flaw.what.startswith("find ")
    assert repeated(trace(DIRECTOR, BORN)) == []
