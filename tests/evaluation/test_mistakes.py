"""Each mistake is told from the others by what the trace shows."""

import pytest

import films
from understudy.errors import InputError
from understudy.evaluation.mistakes import MEANING, Mistake, count_mistakes
from understudy.rollout import Limits
from understudy.task import Evidence, Fact, Hop

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
    Mistake.GUESSED: ["Paris"],
    Mistake.WRONG_TOOL: [("find_composer", {"film": "Red Harbour 7"}), "Otto Marsh 7"],
    Mistake.STOPPED_EARLY: [DIRECTOR, "Anna Bergström 7"],
    Mistake.ANSWER_MISCOPIED: [DIRECTOR, BIRTHPLACE, "Lindenfels 7"],
    Mistake.WRONG_VALUE: [DIRECTOR, BIRTHPLACE, "Anna Bergström 7"],
    Mistake.INVENTED: [DIRECTOR, BIRTHPLACE, "Paris"],
}


def lines(case):
    for line in case:
        if isinstance(line, tuple):
            yield films.call(line[0], **line[1])
        else:
            yield f"<answer>{line}</answer>" if line else line


async def counted(case, task=None):
    task = task or films.bridge(7)
    result = await films.run([task], films.Scripted(lambda _: lines(case)), limits=Limits(max_turns=5))
    return count_mistakes(result, [task])


@pytest.mark.parametrize("mistake", list(Mistake))
async def test_every_mistake_is_recognised(mistake):
    assert await counted(CASES[mistake]) == {mistake: 1}
    assert MEANING[mistake]


async def test_a_right_answer_is_no_mistake():
    assert await counted([DIRECTOR, BIRTHPLACE, "Lindenfeld 7"]) == {}


async def test_what_was_recovered_is_not_blamed():
    case = [
        ("find_composer", {"film": "Red Harbour 7"}),
        ("find_director", {"who": "?"}),
        DIRECTOR,
        BIRTHPLACE,
        "Paris",
    ]
    assert await counted(case) == {Mistake.INVENTED: 1}


async def test_a_derived_answer_needs_its_facts():
    task = films.bridge(7).model_copy(update={"answers": ("yes",)})
    assert await counted([DIRECTOR, "no"], task) == {Mistake.STOPPED_EARLY: 1}
    assert await counted([DIRECTOR, BIRTHPLACE, "no"], task) == {Mistake.WRONG_VALUE: 1}
    summed = films.bridge(7).model_copy(update={"answers": ("14",)})  # nothing that a tool says
    assert await counted([DIRECTOR, "15"], summed) == {Mistake.STOPPED_EARLY: 1}
    assert await counted([DIRECTOR, BIRTHPLACE, "15"], summed) == {Mistake.INVENTED: 1}


async def test_annotated_hops_say_what_is_needed_among_more_facts():
    task = films.bridge(7)
    film, person, city = task.source.split("|")
    more = (*task.evidence.facts, Fact(subject=person, relation="spouse", object="Ida Moe"))
    hops = (Hop(question="?", answer=person, title=film), Hop(question="?", answer=city, title=person))
    task = task.model_copy(update={"answers": ("yes",), "evidence": Evidence(facts=more, hops=hops)})
    assert await counted([DIRECTOR, BIRTHPLACE, "no"], task) == {Mistake.WRONG_VALUE: 1}


async def test_an_argument_that_was_put_right_is_not_blamed():
    case = [("find_director", {"film": "Red Harbor 7"}), DIRECTOR, "Anna Bergström 7"]
    assert await counted(case) == {Mistake.STOPPED_EARLY: 1}


async def test_traces_and_tasks_are_needed():
    policy = films.Scripted(lambda task: ["<answer>Paris</answer>"])
    with pytest.raises(InputError, match="keep_traces"):
        count_mistakes(await films.run(films.tasks[:1], policy, keep_traces=False), films.tasks)
    with pytest.raises(InputError, match="'q001'"):
        count_mistakes(await films.run(films.tasks[:1], policy), films.tasks[1:])
