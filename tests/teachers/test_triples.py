"""Plans from triples: names are linked, and an answer counts only when what was found supports it."""

from hypothesis import given
from hypothesis import strategies as st

from understudy.task import Evidence, Fact, Kind, Passage, Task
from understudy.teachers.comparison import chosen, same
from understudy.teachers.evidence import plan
from understudy.teachers.plan import Plan, Step, Unplannable


def task(question: str, answer: str, triples: list[tuple[str, str, str]], kind: Kind, titles: tuple[str, ...]) -> Task:
    facts = tuple(Fact(subject=s, relation=r, object=o) for s, r, o in triples)
    passages = tuple(Passage(title=title, text="…", supporting=True) for title in titles)
    evidence = Evidence(passages=passages, facts=facts)
    return Task(id="t", question=question, answers=(answer,), kind=kind, evidence=evidence)


def planned(*arguments: object) -> Plan:
    made = plan(task(*arguments))  # type: ignore[arg-type]
    assert isinstance(made, Plan), made
    return made


def refused(*arguments: object) -> str:
    made = plan(task(*arguments))  # type: ignore[arg-type]
    assert isinstance(made, Unplannable), made
    return made.reason


FILMS = ("Alpha (1950 film)", "Beta", "Ann Ash (director)", "Bob Birch")
SIDES = [("Alpha", "director", "Ann Ash"), ("Beta", "director", "Bob Birch")]


def test_a_chain_is_asked_for_in_the_spelling_of_the_question() -> None:
    made = planned(
        "When did the director of film Alpha (1950 Film) die?",
        "1 May 1990",
        [("Alpha", "director", "Ann Ash"), ("Anne Ash", "date of death", "1 May 1990")],
        Kind.COMPOSITIONAL,
        ("Alpha (1950 film)", "Ann Ash"),
    )
    assert [lookup.arguments() for lookup in made.lookups] == [{"film": "Alpha (1950 Film)"}, {"person": "Ann Ash"}]
    assert made.lookups[1].after == (0,)
    assert made.step is Step.READ
    # The world knows the thing under every name that annotations use.
    assert {fact.subject for lookup in made.lookups for fact in lookup.facts()} == {
        "Alpha (1950 Film)",
        "Alpha",
        "Ann Ash",
        "Anne Ash",
    }


def test_another_name_in_the_triples_is_matched_by_the_passage_that_the_question_names() -> None:
    made = planned(
        "Who is the mother of Bea Bell's father?",
        "Cleo",
        [("Beatrice Amalia", "father", "Don Bell"), ("Don Bell", "mother", "Cleo")],
        Kind.COMPOSITIONAL,
        ("Bea Bell", "Don Bell"),
    )
    assert made.lookups[0].subject == "Bea Bell"


def test_sides_of_a_comparison_are_linked_by_name_and_the_rest_by_elimination() -> None:
    made = planned(
        "Which film has the director born first, Alpha (1950 film) or Beta?",
        "Beta",
        [
            *SIDES,
            ("Robert Birch", "date of birth", "3 March 1900"),
            ("Ann Ash (director)", "date of birth", "May 4, 1910"),
        ],
        Kind.BRIDGE_COMPARISON,
        FILMS,
    )
    assert [(lookup.subject, lookup.after) for lookup in made.lookups[2:]] == [("Bob Birch", (1,)), ("Ann Ash", (0,))]
    assert made.step is Step.EARLIEST
    assert {option.name: made.lookups[option.values[0]].found for option in made.options} == {
        "Alpha (1950 film)": "May 4, 1910",
        "Beta": "3 March 1900",
    }


def test_an_order_that_the_dates_deny_is_refused() -> None:
    dates = [("Ann Ash", "date of birth", "1900"), ("Bob Birch", "date of birth", "1950")]
    question = "Which film has the director born later, Alpha (1950 film) or Beta?"
    assert "don't make 'Alpha (1950 film)' the latest" in refused(
        question, "Alpha (1950 film)", [*SIDES, *dates], Kind.BRIDGE_COMPARISON, FILMS
    )
    vague = [dates[0], ("Bob Birch", "date of birth", "4 May 1900")]
    assert refused(question, "Beta", [*SIDES, *vague], Kind.BRIDGE_COMPARISON, FILMS)


def test_an_order_is_not_read_off_a_name() -> None:
    triples = [("The First", "publication date", "1950"), ("The Last", "publication date", "1960")]
    titles = ("The First", "The Last")
    made = planned("Which came out later, The First or The Last?", "The Last", triples, Kind.COMPARISON, titles)
    assert made.step is Step.LATEST
    assert "no order" in refused(
        "Which do I like, The First or The Last?", "The Last", triples, Kind.COMPARISON, titles
    )


def test_who_lived_longer() -> None:
    triples = [
        ("Ann Ash", "date of birth", "1 May 1900"),
        ("Ann Ash", "date of death", "1 May 1980"),
        ("Bob Birch", "date of birth", "2 June 1950"),
        ("Bob Birch", "date of death", "2 June 1990"),
    ]
    question, titles = "Who lived longer, Ann Ash or Bob Birch?", ("Ann Ash", "Bob Birch")
    made = planned(question, "Ann Ash", triples, Kind.COMPARISON, titles)
    assert made.step is Step.LONGEST
    assert [option.values for option in made.options] == [(0, 1), (2, 3)]
    assert refused(question, "Bob Birch", triples, Kind.COMPARISON, titles)


def test_yes_and_no_need_values_that_say_so() -> None:
    def of(first: str, second: str) -> list[tuple[str, str, str]]:
        return [("Ann", "country of citizenship", first), ("Bob", "country of citizenship", second)]

    question, kind, names = "Are Ann and Bob of the same nationality?", Kind.COMPARISON, ("Ann", "Bob")
    assert planned(question, "yes", of("U.S.", "American"), kind, names).step is Step.SAME
    assert planned(question, "no", of("French", "American"), kind, names).step is Step.DIFFERENT
    assert "don't support 'no'" in refused(question, "no", of("India", "Indian"), kind, names)
    assert "don't support 'yes'" in refused(question, "yes", of("French", "German"), kind, names)


def test_both_sides_may_share_what_links_them() -> None:
    made = planned(
        "Do Alpha (1950 film) and Beta have directors from the same country?",
        "yes",
        [
            ("Alpha", "director", "Ann Ash"),
            ("Beta", "director", "Ann Ash"),
            ("Ann Ash", "country of citizenship", "US"),
        ],
        Kind.BRIDGE_COMPARISON,
        FILMS[:3],
    )
    assert made.lookups[2].after == (0, 1)
    assert len(made.options) == 2


def test_several_values_of_one_relation_are_one_look_up() -> None:
    made = planned(
        "Who is the child of the director of film Beta?",
        "Dan",
        [("Beta", "director", "Bob Birch"), ("Bob Birch", "child", "Cem"), ("Bob Birch", "child", "Dan")],
        Kind.COMPOSITIONAL,
        ("Beta",),
    )
    assert [lookup.found for lookup in made.lookups] == ["Bob Birch", "Cem; Dan"]


def test_refusals_say_why() -> None:
    chain = [("Beta", "director", "Bob Birch"), ("Bob Birch", "father", "Cem")]
    assert "don't lead to the answer" in refused("Who fathered Beta's director?", "X", chain, Kind.COMPOSITIONAL, ())
    assert "neither in the question" in refused("Who is it?", "Cem", chain, Kind.COMPOSITIONAL, ())
    assert "no triples" in refused("Who is it?", "Cem", [], Kind.COMPOSITIONAL, ())
    assert "reserved tag" in refused("Who made Beta?", "<answer>", [("Beta", "director", "<answer>")], Kind.BRIDGE, ())


@given(st.data())
def test_any_triples_give_a_plan_or_a_reason(data: st.DataObject) -> None:
    names = st.sampled_from(["Ann Ash", "Ann", "Beta (film)", "Beta", "1900", "", "yes", "?", "U.S."]) | st.text(
        max_size=4
    )
    triples = data.draw(
        st.lists(st.tuples(names, st.sampled_from(["director", "date of birth", "§"]), names), max_size=6)
    )
    question = data.draw(st.text("Ann Beta(film)? or", min_size=1, max_size=40))
    made = plan(task(question, data.draw(names), triples, data.draw(st.sampled_from(Kind)), ("Ann Ash", "Beta (film)")))
    if isinstance(made, Plan):
        assert all(all(earlier < place for earlier in lookup.after) for place, lookup in enumerate(made.lookups))
    else:
        assert made.reason


def test_values_are_the_same_up_to_notation_or_country() -> None:
    assert same("U.S.", "United States")
    assert same("Springfield (Ohio)", "springfield")
    assert not same("Georgia", "Germany")
    assert not same("Springfield", "Shelbyville")


def test_dates_that_do_not_decide_choose_nothing() -> None:
    assert chosen(Step.EARLIEST, [["1900"], ["1901"]]) == 0
    assert chosen(Step.LATEST, [["May 1900"], ["2 June 1900"]]) == 1
    assert chosen(Step.EARLIEST, [["1900"], ["2 June 1900"]]) is None
    assert chosen(Step.EARLIEST, [["1900"], ["unknown"]]) is None
    assert chosen(Step.LONGEST, [["1900", "1980"], ["1900", "1990"]]) is None
