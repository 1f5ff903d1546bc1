"""Plans from decompositions: sub-questions become relations where they ask for one, else questions to open tools."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.task import Evidence, Hop, Task
from understudy.teachers.evidence import plan
from understudy.teachers.plan import Plan, Unplannable


def made(question: str, *hops: tuple[str, ...], answers: tuple[str, ...] = ()) -> Plan | Unplannable:
    steps = tuple(Hop(question=hop[0], answer=hop[1], title=hop[2] if len(hop) > 2 else "") for hop in hops)
    accepted = answers or (hops[-1][1],)
    return plan(Task(id="t", question=question, answers=accepted, evidence=Evidence(hops=steps), source="musique"))


def calls(plan: Plan | Unplannable) -> list[tuple[str, dict[str, str]]]:
    assert isinstance(plan, Plan), plan
    return [(lookup.relation.name, lookup.arguments()) for lookup in plan.lookups]


@pytest.mark.parametrize(
    ("sub_question", "relation", "arguments"),
    [
        ("Alpha >> located in the administrative territorial entity", "administrative area", {"place": "Alpha"}),
        ("Alpha >> some rare property", "some rare property", {"entity": "Alpha"}),
        ("Who directed Alpha?", "director", {"film": "Alpha"}),
        ("The main director of Alpha was who?", "director", {"film": "Alpha"}),
        ("Who is Alpha 's spouse ?", "spouse", {"person": "Alpha"}),
        ("What is Alpha's spouse's name?", "spouse", {"person": "Alpha"}),
        ("In what city was Alpha born?", "place of birth", {"person": "Alpha"}),
        ("What country is Alpha from?", "country of origin", {"entity": "Alpha"}),
        ("Where is the Alpha?", "location", {"place": "the Alpha"}),
        ("what state is Alpha located", "state", {"place": "Alpha"}),
        ("what is the population of the state of Alpha", "population", {"place": "Alpha"}),
        ("when did Alpha open", "inception", {"organisation": "Alpha"}),
    ],
)
def test_shapes_of_sub_questions(sub_question: str, relation: str, arguments: dict[str, str]) -> None:
    assert calls(made("What about the Alpha?", (sub_question, "Beta"))) == [(relation, arguments)]


@pytest.mark.parametrize(
    ("sub_question", "tool"),
    [
        ("when did the coal mine in Alpha open", "date"),
        ("which year saw the fall of Alpha", "date"),
        ("Who was president when Alpha became a state", "person"),
        ("how many mines are in Alpha", "quantity"),
        ("where do the miners of Alpha live", "place"),
        ("what is the name of the mine in Alpha", "information"),
        ("Alpha is known for which mine", "information"),
    ],
)
def test_open_questions_go_to_the_tool_of_their_kind(sub_question: str, tool: str) -> None:
    asked = f"{sub_question[:1].upper()}{sub_question[1:]}?"
    assert calls(made("What of Alpha?", (sub_question, "B", "Alpha"))) == [
        (tool, {"question": asked, "about": "Alpha"})
    ]


def test_references_stand_for_answers() -> None:
    plan = made(
        "When did the band that sang Alpha form in the town where its singer lives?",
        ("Alpha >> performer", "The Betas"),
        ("Where did the singer of #1 live?", "in Gamma"),
        ("when did #1 form in #2", "1999"),
    )
    assert calls(plan) == [
        ("performer", {"work": "Alpha"}),
        ("place", {"question": "Where did the singer of The Betas live?", "about": "The Betas"}),
        ("date", {"question": "When did The Betas form in Gamma?", "about": "The Betas"}),
    ]
    assert isinstance(plan, Plan)
    assert [lookup.after for lookup in plan.lookups] == [(), (0,), (0, 1)]


def test_leading_words_are_cut_off_answers_but_not_out_of_them() -> None:
    plan = made(
        "In which country is the sport of Alpha played?",
        ("Alpha >> sport", "rugby league in town"),
        ("#1 >> country", "Fiji"),
    )
    assert calls(plan)[1] == ("country", {"place": "rugby league in town"})


def test_names_are_asked_for_as_the_question_spells_them() -> None:
    assert calls(made("Who ruled Aschenbrodel?", ("Aschenbrödel >> leader", "Ann")))[0][1] == {"place": "Aschenbrodel"}
    assert calls(made("Where is Greenfield High?", ("Where is Greenfield High School?", "Ohio")))[0][1] == {
        "place": "Greenfield High"
    }
    # The supporting passage tells who is meant.
    assert calls(made("Which country is Dai Jitao from?", ("What country is Tai Chi-tao from?", "China", "Dai Jitao")))[
        0
    ] == ("country of origin", {"entity": "Dai Jitao"})
    assert calls(made("Who broke the law in Belgaum in 1930?", ("who broke the Belgaums law in 1930", "Ann")))[0][
        1
    ] == {"question": "Who broke the Belgaum law in 1930?"}


def test_what_nobody_can_know_is_refused() -> None:
    for sub_question in ("Omega >> country", "When did the mine of Omega open?", "When did the mine of 1907 open?"):
        plan = made("Where is Alpha?", (sub_question, "Fiji"))
        assert isinstance(plan, Unplannable)
        assert "neither in the question nor found before" in plan.reason


def test_other_refusals() -> None:
    later = made("Where is Alpha?", ("#2 >> country", "Fiji"), ("Alpha >> country", "Fiji"))
    assert isinstance(later, Unplannable)
    assert "later sub-question" in later.reason
    other = made("Where is Alpha?", ("Alpha >> country", "Fiji"), answers=("Tonga",))
    assert isinstance(other, Unplannable)
    assert "not the answer" in other.reason


def test_an_alias_counts_as_the_answer_and_is_given_as_found() -> None:
    plan = made("Where is Alpha?", ("Alpha >> country", "U.S."), answers=("United States", "U.S."))
    assert isinstance(plan, Plan)
    assert plan.answer == "U.S."


def test_the_title_of_a_passage_is_no_other_name_of_what_it_is_not_about() -> None:
    plan = made("What is the airport in Oslo?", ("what is the airport in Oslo", "Oslo Airport", "Oslo Airport"))
    assert isinstance(plan, Plan)
    assert plan.lookups[0].aliases == ()


@given(
    st.lists(
        st.tuples(
            st.text(max_size=12) | st.sampled_from(["#1 >> x", "who is #2", "Alpha >> #1"]),
            st.text(max_size=4),
            st.text(max_size=4),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_decomposition_gives_a_plan_or_a_reason(hops: list[tuple[str, str, str]]) -> None:
    plan = made("Where is Alpha?", *hops, answers=(hops[-1][1],))
    assert isinstance(plan, Plan) or plan.reason
