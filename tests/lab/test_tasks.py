from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import InputError
from understudy.lab.drawing import YES_NO_SHARE
from understudy.lab.parsing import parse
from understudy.lab.plans import Op
from understudy.lab.questions import CHOICE_FRAMES, DIFFERENCE_FRAMES, SAME_FRAMES, SUM_FRAMES, VALUE_FRAMES
from understudy.lab.relations import relations
from understudy.lab.tasks import SHAPES, chance, make_tasks
from understudy.lab.universe import Universe
from understudy.scoring import exact_match, normalize
from understudy.task import Kind, Task


def test_all_kinds_and_hops_occur(tasks: list[Task]) -> None:
    assert {(task.kind, task.hops) for task in tasks} == {(kind, n) for kind, counts in SHAPES.items() for n in counts}
    assert {task.hops for task in tasks} == {2, 3, 4}


def test_every_task_is_answerable_from_its_own_facts(tasks: list[Task]) -> None:
    for task in tasks:
        plan = parse(task.question)
        assert plan is not None
        assert (plan.kind, plan.hops) == (task.kind, task.hops)
        stated = {(fact.subject, fact.relation): fact.object for fact in task.evidence.facts}
        ends = []
        for path in plan.paths:
            here = path.start
            for relation in path.relations:
                here = stated[here, relation]
            ends.append(here)
        assert plan.conclude(ends) == task.answers[0]


def test_facts_agree_with_the_universe_and_go_beyond_the_chain(universe: Universe, tasks: list[Task]) -> None:
    for task in tasks:
        assert all(universe.value(fact.subject, fact.relation) == fact.object for fact in task.evidence.facts)
        assert len(task.evidence.facts) > len(task.evidence.hops)


def test_hops_are_one_look_up_each(tasks: list[Task]) -> None:
    for task in tasks:
        assert len(task.evidence.hops) == task.hops
        for hop, fact in zip(task.evidence.hops, task.evidence.facts, strict=False):
            plan = parse(hop.question)
            assert plan is not None
            assert [(path.start, path.relations) for path in plan.paths] == [(fact.subject, (fact.relation,))]
            assert (hop.answer, hop.title) == (fact.object, fact.subject)


def test_passages_support_the_path_and_distract(tasks: list[Task]) -> None:
    for task in tasks:
        supporting = {passage.title for passage in task.evidence.passages if passage.supporting}
        assert supporting == {hop.title for hop in task.evidence.hops}
        assert len(task.evidence.passages) > len(supporting)


def test_no_question_holds_its_answer_unless_it_offers_two(tasks: list[Task]) -> None:
    for task in tasks:
        mentioned = f" {normalize(task.answers[0])} " in f" {normalize(task.question)} "
        assert mentioned == (chance(task) == 0.5 and task.answers[0] not in ("yes", "no"))


def test_a_blind_guess_is_worth_its_chance(universe: Universe) -> None:
    tasks = make_tasks(universe, 600, seed=7, kinds=[Kind.COMPARISON, Kind.BRIDGE_COMPARISON])
    plans = [(task, plan) for task in tasks if (plan := parse(task.question)) is not None]
    yes_no = [task.answers[0] for task, plan in plans if plan.op is Op.SAME]
    assert abs(len(yes_no) / len(tasks) - YES_NO_SHARE) < 0.06
    assert 0.35 < yes_no.count("yes") / len(yes_no) < 0.65
    firsts = [task.answers[0] == plan.paths[0].start for task, plan in plans if plan.op is not Op.SAME]
    assert 0.44 < sum(firsts) / len(firsts) < 0.56
    open_answers = Counter(task.answers[0] for task in make_tasks(universe, 600, seed=8) if chance(task) == 0)
    assert open_answers.most_common(1)[0][1] / open_answers.total() < 0.03


def test_aliases_are_other_ways_to_say_the_answer(universe: Universe, tasks: list[Task]) -> None:
    assert any(len(task.answers) > 1 for task in tasks)
    for task in tasks:
        for alias in task.answers[1:]:
            assert exact_match(alias, task.answers)
            found = universe.find(alias)
            assert not found or [entity.name for entity in found] == [task.answers[0]]


def test_every_relation_is_asked_about(universe: Universe) -> None:
    asked = {
        name for task in make_tasks(universe, 800, seed=3) if (plan := parse(task.question)) for name in plan.relations
    }
    assert asked == set(relations())


def test_each_kind_is_phrased_in_at_least_four_ways(tasks: list[Task]) -> None:
    assert all(len(frames) >= 4 for frames in (VALUE_FRAMES, CHOICE_FRAMES, SAME_FRAMES, DIFFERENCE_FRAMES, SUM_FRAMES))
    openings = defaultdict(set)
    for task in tasks:
        openings[task.kind].add(" ".join(task.question.split()[:2]))
    assert all(len(openings[kind]) >= 4 for kind in Kind)


def test_relations_compose_in_questions(universe: Universe) -> None:
    for text, relation_names in (
        ("Who is the spouse of the director of Khal Zurj?", ("director", "spouse")),
        ("Name the spouse of the director of Khal Zurj.", ("director", "spouse")),
        ("Tell me the mother-in-law of Khal Zurj's director.", ("director", "spouse", "mother")),
        ("What is the country of birth of Khal Zurj's father?", ("father", "birthplace", "country")),
    ):
        plan = parse(text)
        assert plan is not None
        assert plan.paths[0].relations == relation_names


def test_orders_are_those_of_the_measure() -> None:
    plan = parse("Khal Zurj or Hlan Bwet: which film has the director with the later birth year?")
    assert plan is not None
    assert [path.relations for path in plan.paths] == [("director", "birth_year")] * 2
    assert parse("Khal Zurj or Hlan Bwet: which film has the larger birth year?") is None


@pytest.mark.parametrize("text", ["", "Who?", "Who is the spouse?", "Who is the spouse of the?", "What is love?"])
def test_other_questions_have_no_plan(text: str) -> None:
    assert parse(text) is None


@given(st.text(max_size=200))
def test_parsing_never_raises(text: str) -> None:
    parse(text)


def test_kinds_and_hops_are_chosen(universe: Universe) -> None:
    chosen = make_tasks(universe, 30, seed=1, kinds=[Kind.BRIDGE, Kind.TEMPORAL], hops=[3])
    assert {task.kind for task in chosen} == {Kind.BRIDGE, Kind.TEMPORAL}
    assert {task.hops for task in chosen} == {3}
    with pytest.raises(InputError, match="no lab task"):
        make_tasks(universe, 1, seed=1, kinds=[Kind.COMPARISON], hops=[3])


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 20))
def test_tasks_depend_on_the_seed_alone_and_longer_lists_begin_alike(universe: Universe, seed: int, n: int) -> None:
    tasks = make_tasks(universe, n, seed)
    assert make_tasks(universe, n + 5, seed)[:n] == tasks
    assert make_tasks(universe, n, seed + 1) != tasks


def test_questions_and_ids_are_unique(tasks: list[Task]) -> None:
    assert len({task.question for task in tasks}) == len({task.id for task in tasks}) == len(tasks)


def test_a_universe_that_is_too_small_says_so() -> None:
    with pytest.raises(InputError, match="larger"):
        make_tasks(Universe(1, size=50), 50_000, seed=1, kinds=[Kind.COMPOSITIONAL], hops=[2])
