"""Each mistake is told from the others by what the trace shows."""

import pytest

from understudy.errors import InputError
from understudy.evaluation.mistakes import MEANING, Mistake, count_mistakes
from understudy.rollout import Limits

DIRECTOR = ("find_director", {"film": "Red Harbour 7"})
BIRTHPLACE = ("find_birthplace", {"person": "Anna Bergström 7"})

CASES = {
    Mistake.SIMULATOR_FAILURE: [("find_director", {"film": "Broken"})],
    Mistake.POLICY_ERROR: [DIRECTOR],
    Mistake.MALFORMED: ["", "", ""],
    Mistake.NO_ANSWER: [DIRECTOR] * 6,
    Mistake.INVALID_CALL: [DIRECTOR, ("find_birthplace", {"who": "Anna Bergström 7"}), "Paris"],
    Mistake.ARGUMENT_MISCOPIED: [DIRECTOR, ("find_birthplace", {"person": "Anna Bergstrand 7"}), "Paris"],
    Mistake.MISS_NOT_RECOVERED: [DIRECTOR, ("find_composer", {"film": "Anna Bergström 7"}), "Paris"],
    Mistake.WRONG_TOOL: [("find_composer", {"film": "Red Harbour 7"}), "Otto Marsh 7"],
    Mistake.STOPPED_EARLY: [DIRECTOR, "Anna Bergström 7"],
    Mistake.ANSWER_MISCOPIED: [DIRECTOR, BIRTHPLACE, "Lindenfels 7"],
    Mistake.WRONG_VALUE: [DIRECTOR, BIRTHPLACE, "Anna Bergström 7"],
    Mistake.INVENTED: [DIRECTOR, BIRTHPLACE, "Paris"],
}


def lines(films, case):
    for line in case:
        if isinstance(line, tuple):
            yield films.call(line[0], **line[1])
        else:
            yield f"<answer>{line}</answer>" if line else line


async def counted(films, case, task=None):
    task = task or films.bridge(7)
    result = await films.run([task], films.Scripted(lambda _: lines(films, case)), limits=Limits(max_turns=5))
    return count_mistakes(result, [task])


@pytest.mark.parametrize("mistake", list(Mistake))
async def test_every_mistake_is_recognised(films, mistake):
    assert await counted(films, CASES[mistake]) == {mistake: 1}
    assert MEANING[mistake]


async def test_a_right_answer_is_no_mistake(films):
    assert await counted(films, [DIRECTOR, BIRTHPLACE, "Lindenfeld 7"]) == {}


async def test_what_was_recovered_is_not_blamed(films):
    case = [
        ("find_composer", {"film": "Red Harbour 7"}),
        ("find_director", {"who": "?"}),
        DIRECTOR,
        BIRTHPLACE,
        "Paris",
    ]
    assert await counted(films, case) == {Mistake.INVENTED: 1}


async def test_no_call_at_all_is_the_wrong_tool(films):
    assert await counted(films, ["Paris"]) == {Mistake.WRONG_TOOL: 1}


async def test_a_derived_answer_needs_its_facts(films):
    task = films.bridge(7).model_copy(update={"answers": ("yes",)})
    assert await counted(films, [DIRECTOR, "no"], task) == {Mistake.STOPPED_EARLY: 1}
    assert await counted(films, [DIRECTOR, BIRTHPLACE, "no"], task) == {Mistake.WRONG_VALUE: 1}


async def test_traces_and_tasks_are_needed(films):
    policy = films.Scripted(lambda task: ["<answer>Paris</answer>"])
    with pytest.raises(InputError, match="keep_traces"):
        count_mistakes(await films.run(films.tasks[:1], policy, keep_traces=False), films.tasks)
    with pytest.raises(InputError, match="'q001'"):
        count_mistakes(await films.run(films.tasks[:1], policy), films.tasks[1:])
