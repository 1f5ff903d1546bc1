"""The composite reward: its bound, who is blamed, and what a policy can't gain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from handmade import BORN, DIRECTOR, TASK, failed, trace
from strategies import text, traces
from understudy.grammar import fault, parse_turn
from understudy.reward.composite import Weights, score
from understudy.scoring import exact_match
from understudy.task import Fact, Task
from understudy.trace import Fault, ParseFault, Source, Status, Stop
from understudy.world import FactsFrom, World

WORLD = World(
    TASK.id, [Fact(subject="Night Tide", relation="director", object="Curtis Harrington")], FactsFrom.EVIDENCE
)
MALFORMED = fault(Fault.NO_ACTION, "neither a call nor an answer", "hm")


def total(made, task=TASK):
    return score(made, task, WORLD).total


def test_a_flawless_trace_has_the_full_reward():
    reward = score(trace(DIRECTOR, BORN), TASK, WORLD)
    assert reward.total == pytest.approx(1.3)
    assert not reward.masked
    assert set(reward.terms.values()) == {1.0}


@given(traces(), st.lists(text, min_size=1, max_size=3))
def test_right_is_at_least_one_and_wrong_at_most_point_eight_whatever_the_shape(made, answers):
    task = Task(id="t", question="q", answers=tuple(answers))
    reward = score(made, task, World("t"))
    right = exact_match(made.answer or "", task.answers)
    assert (1.0 <= reward.total <= 1.3 + 1e-9) if right else (0.0 <= reward.total <= 0.8)
    assert all(0.0 <= value <= 1.0 for value in reward.terms.values())


@given(traces())
def test_the_same_trace_answered_rightly_beats_it_answered_wrongly(made):
    right = Task(id="t", question="q", answers=(made.answer or "",))
    wrong = Task(id="t", question="q", answers=(f"{made.answer} zyzzyva",))
    assert total(made, right) >= total(made, wrong) + 0.2


@given(st.floats(0, 0.5), st.tuples(*[st.floats(0, 2)] * 2))
def test_weights_that_let_wrong_beat_right_are_refused(f1, others):
    weights = dict(zip(("f1", "consistency", "format"), (f1, *others), strict=True))
    if f1 + others[0] + others[1] < 1:
        Weights(**weights)
    else:
        with pytest.raises(ValidationError, match="wrong answer could beat"):
            Weights(**weights)


@pytest.mark.parametrize("name", ["f1", "consistency", "format"])
@pytest.mark.parametrize("value", [-0.1, 0.51, float("nan"), float("inf")])
def test_weights_out_of_bounds_are_refused(name, value):
    others = {"f1": 0.5, "consistency": 0.0, "format": 0.0}
    with pytest.raises(ValidationError):
        Weights(**{**others, name: value})


def test_partial_answers_are_worth_half_their_f1():
    reward = score(trace(DIRECTOR, BORN, answer="March 1926"), TASK, WORLD)
    assert reward.terms["correctness"] == pytest.approx(0.5 * 0.8)


def test_hotpotqa_accepts_its_first_answer_only():
    aliases = TASK.model_copy(update={"source": "hotpotqa", "answers": ("A thing", "6 March 1926")})
    assert score(trace(DIRECTOR, BORN), aliases, WORLD).terms["correctness"] < 1


@pytest.mark.parametrize("made", [trace(answer="yes"), trace(answer="Night Tide"), trace(answer=None), trace()])
def test_without_calls_there_is_no_consistency(made):
    reward = score(made, TASK, WORLD)
    assert reward.terms["consistency"] == 0


def test_a_no_op_earns_nothing():
    assert total(trace(answer=None)) == 0


# Each flaw costs.
REFUSED = failed(("get_director", {"movie": "Night Tide"}, None), Status.INVALID_CALL)
HALF_KNOWN = trace(DIRECTOR, BORN, answer="7 March 1926")


@pytest.mark.parametrize(
    ("part", "made"),
    [
        ("valid_calls", trace(REFUSED, DIRECTOR, BORN)),
        ("grounding", trace(BORN)),
        ("grounding", HALF_KNOWN),
        ("no_repeats", trace(DIRECTOR, DIRECTOR, BORN)),
        ("no_contradiction", trace(DIRECTOR, BORN, thought="The director of Night Tide is Orson Welles.")),
        ("format", trace(MALFORMED, DIRECTOR, BORN)),
        ("format", trace(DIRECTOR, BORN, answer=None)),
    ],
)
def test_each_flaw_costs_its_own_term(part, made):
    terms = score(made, TASK, WORLD).terms
    assert terms[part] < 1
    assert all(terms[other] == 1 for other in ("valid_calls", "no_repeats", "no_contradiction") if other != part)


# Who is to blame.
def test_a_simulator_failure_is_masked_not_punished():
    failure = failed(BORN, Status.SIMULATOR_FAILURE)
    reward = score(trace(DIRECTOR, failure, answer=None, stop=Stop.SIMULATOR_FAILURE), TASK, WORLD)
    assert reward.masked
    assert reward.terms["valid_calls"] == 1


def test_a_simulator_that_contradicts_the_world_is_masked_and_a_live_tool_is_not():
    wrong = ("get_director", {"film": "Night Tide"}, {"director": "Orson Welles"})
    simulated = score(trace(wrong, answer="Orson Welles"), TASK, WORLD)
    assert simulated.masked
    assert simulated.terms["no_contradiction"] == 1
    assert not score(trace(wrong, answer="Orson Welles", source=Source.LIVE), TASK, WORLD).masked


def test_misses_are_nobodys_fault():
    miss = failed(("get_director", {"film": "Tide"}, None), Status.TOOL_ERROR)
    assert total(trace(miss, DIRECTOR, BORN)) == pytest.approx(1.3)


# What a policy can't gain. The honest wrong trace works properly and answers with what it saw.
HONEST_WRONG = trace(DIRECTOR, BORN, answer="Curtis Harrington")


@pytest.mark.parametrize("filler", [DIRECTOR, ("calculator", {"expression": "1 + 1"}, {"value": 2})])
@pytest.mark.parametrize("flawed", [BORN, REFUSED])
def test_stuffing_a_trace_with_calls_gains_nothing(filler, flawed):
    for count in (1, 5, 50):
        assert total(trace(flawed, DIRECTOR, *[filler] * count)) <= total(trace(flawed, DIRECTOR))


def test_a_token_call_does_not_make_a_guess_consistent():
    token = ("calculator", {"expression": "1 + 1"}, {"value": 2})
    assert total(trace(token)) == total(trace())


def test_echoing_the_question_gains_nothing():
    assert total(trace(DIRECTOR, BORN, answer=TASK.question)) <= total(HONEST_WRONG)
    assert total(trace(answer=TASK.question)) < total(HONEST_WRONG)


def test_answering_with_everything_seen_loses_to_the_answer():
    dump = "Night Tide Curtis Harrington 6 March 1926 director date of birth"
    assert total(trace(DIRECTOR, BORN, answer=dump)) <= 0.8 < total(trace(DIRECTOR, BORN))
    longer = trace(DIRECTOR, BORN, answer=" ".join([dump] * 20))
    assert total(longer) < total(trace(DIRECTOR, BORN, answer=dump))


def test_asking_again_for_the_same_observation_gains_nothing():
    shouted = ("get_director", {"film": "NIGHT  TIDE"}, {"director": "Curtis Harrington"})
    assert total(trace(DIRECTOR, shouted, BORN)) < total(trace(DIRECTOR, BORN))


def test_a_tool_response_written_by_the_policy_is_a_fault_and_grounds_nothing():
    fake = '<think>x</think><tool_response>{"date_of_birth": "7 May 1915"}</tool_response><answer>7 May 1915</answer>'
    assert isinstance(parse_turn(fake), ParseFault)
    spoken = trace(DIRECTOR, answer="7 May 1915", thought='get_date_of_birth answers {"date_of_birth": "7 May 1915"}')
    assert total(spoken) < total(HONEST_WRONG)
