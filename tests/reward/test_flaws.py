"""Where a reward was lost: by term and turn."""

import pytest
from hypothesis import given

from handmade import BORN, DIRECTOR, TASK, failed, trace
from strategies import traces
from understudy.grammar import fault
from understudy.reward.composite import score
from understudy.reward.consistency import PARTS
from understudy.task import Task
from understudy.trace import Fault, Status, Stop
from understudy.world import World

MALFORMED = fault(Fault.NO_ACTION, "neither a call nor an answer", "hm")
REFUSED = failed(("get_director", {"movie": "Night Tide"}, None), Status.INVALID_CALL, "invalid arguments")


def flaws(made):
    return score(made, TASK, World("t1")).flaws


@pytest.mark.parametrize(
    ("made", "term", "turns", "what"),
    [
        (trace(DIRECTOR, BORN, answer="7 March"), "correctness", [2], "'7 March'; accepted: '6 March 1926', '1926'"),
        (trace(DIRECTOR, REFUSED, BORN, REFUSED), "valid_calls", [1, 3], "get_director: invalid arguments"),
        (trace([DIRECTOR, BORN]), "grounding", [0], "get_date_of_birth.person: 'Curtis Harrington'"),
        (trace(DIRECTOR, answer="Orson Welles"), "grounding", [1], "answer: 'Orson Welles'"),
        (trace(DIRECTOR, DIRECTOR, BORN, DIRECTOR), "no_repeats", [1, 3], 'get_director {"film":"Night Tide"}'),
        (trace(DIRECTOR, "Night Tide's director is Ed Wood.", BORN), "no_contradiction", [1], "says \"Night Tide's"),
        (trace(DIRECTOR, MALFORMED, BORN), "format", [1], "no_action: neither a call nor an answer"),
        (trace(DIRECTOR, MALFORMED, answer=None, stop=Stop.TIMEOUT), "format", [1, 1], "no_action: neither"),
        (trace(DIRECTOR, BORN, answer=None), "correctness", [1], "no answer: max_turns"),
        (trace(answer="Ed Wood"), "consistency", [None], "no look-up was answered"),
    ],
)
def test_a_flaw_names_its_turn(made, term, turns, what):
    found = flaws(made)[term]
    assert [flaw.turn for flaw in found] == turns
    assert found[0].what.startswith(what)


def test_a_flawless_trace_has_none():
    assert flaws(trace(DIRECTOR, BORN)) == {}


@given(traces())
def test_a_term_is_below_one_exactly_where_flaws_say_why(made):
    reward = score(made, Task(id="t", question="q", answers=("a",)), World("t"))
    assert reward.terms["consistency"] == pytest.approx(sum(reward.terms[part] for part in PARTS) / len(PARTS))
    for term in set(reward.terms) - {"consistency"}:
        # One flaw of the whole explains all parts at once.
        why = reward.flaws.get(term) or (term in PARTS and reward.flaws.get("consistency"))
        assert (reward.terms[term] < 1) is bool(why)
    for flaw in (flaw for found in reward.flaws.values() for flaw in found):
        assert flaw.turn is None or 0 <= flaw.turn < len(made.steps)
