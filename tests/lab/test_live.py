from collections import Counter

import pytest

from understudy.errors import InputError, ToolError
from understudy.lab.lexicon import relation_named
from understudy.lab.live import SEARCH, LiveTools, catalogue, field_of
from understudy.lab.parsing import parse
from understudy.lab.relations import relations
from understudy.lab.results import LIVE_KEYS, NAMES, statements_in, value_in
from understudy.lab.universe import Universe
from understudy.task import Kind, Task
from understudy.tools.toolbox import Toolbox
from understudy.tools.utilities import UTILITIES
from understudy.trace import Call, Source
from understudy.world import World


def test_every_relation_has_a_look_up_that_says_what_it_is() -> None:
    assert {relation.name for _, relation in catalogue().values()} == set(relations())
    for name, (contract, relation) in catalogue().items():
        assert relation_named(name) == relation.name
        assert relation.noun in contract.description


def test_every_fact_is_found_and_keeps_its_contract(universe: Universe, live: LiveTools) -> None:
    for contract, relation in catalogue().values():
        for entity in universe.entities[::7]:
            if relation.name in entity.facts:
                result = live.look_up(relation, entity.name)
                assert contract.result_violations(result) == []
                assert value_in(result, relation.name, entity.name) == entity.facts[relation.name]


def test_results_have_what_live_results_have(universe: Universe, live: LiveTools) -> None:
    def result_of(name: str, kind: str) -> dict[str, object]:
        relation = relations()[name]
        entity = next(entity for entity in universe.by_type[kind] if name in entity.facts)
        return live.look_up(relation, entity.name)

    record = result_of("director", "film")
    assert {"id", "type", "see_also"} < set(record)
    assert record["director"] in {person.name for person in universe.by_type["person"]}
    assert set(result_of("death_date", "person")) == {"title", "extract"}
    found = [
        live.look_up(relations()["composer"], entity.name)["hits"]
        for entity in universe.by_type["film"]
        if "composer" in entity.facts
    ]
    assert {len(hits) for hits in found} == {1, 2}


def test_every_key_of_a_result_is_a_name_a_relation_or_declared(universe: Universe, live: LiveTools) -> None:
    """The ToolMaker keeps away from the declared ones, so that live results are new to a model."""
    allowed = {*NAMES, *LIVE_KEYS, *map(field_of, relations().values())}
    results = [
        live.look_up(relations()[name], entity.name) for entity in universe.entities[::7] for name in entity.facts
    ]
    assert keys_in([*results, live.search("director")]) <= allowed


def keys_in(content: object) -> set[str]:
    items = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return set(content if isinstance(content, dict) else ()).union(*map(keys_in, items))


def test_one_tool_serves_several_types(universe: Universe, live: LiveTools) -> None:
    relation = relations()["founding_year"]
    for kind in relation.of:
        entity = universe.by_type[kind][0]
        assert (
            value_in(live.look_up(relation, entity.name), relation.name, entity.name) == entity.facts["founding_year"]
        )


def test_names_are_resolved_up_to_case_and_alias(universe: Universe, live: LiveTools) -> None:
    city, relation = universe.by_type["city"][0], relations()["country"]
    expected = live.look_up(relation, city.name)
    assert live.look_up(relation, city.name.lower()) == live.look_up(relation, city.aliases[0]) == expected


def test_misses_are_tool_errors(universe: Universe, live: LiveTools) -> None:
    film, person = universe.by_type["film"][0], universe.by_type["person"]
    with pytest.raises(ToolError, match="no match"):
        live.look_up(relations()["director"], "No Such Film")
    with pytest.raises(ToolError, match="no match"):
        live.look_up(relations()["spouse"], film.name)
    single = next(each for each in person if "spouse" not in each.facts)
    with pytest.raises(ToolError, match="not recorded"):
        live.look_up(relations()["spouse"], single.name)


def test_an_alias_of_several_is_answered_with_their_names_or_hits(universe: Universe, live: LiveTools) -> None:
    known = [each for each in universe.by_type["person"] if "mother" in each.facts]
    shared = next(alias for alias, count in Counter(each.aliases[0] for each in known).items() if count == 2)
    with pytest.raises(ToolError, match=" or "):
        live.look_up(relations()["birth_year"], shared)
    assert len(live.look_up(relations()["mother"], shared)["hits"]) >= 2


def test_search_finds_the_document_and_the_sentence(universe: Universe, live: LiveTools) -> None:
    found = 0
    for film in universe.by_type["film"][:50]:
        results = live.search(f"director of {film.name}")
        assert len(results["results"]) <= 3
        found += (film.name, "director", film.facts["director"]) in set(statements_in(results))
    assert found >= 45
    with pytest.raises(ToolError):
        live.search("qwertz")
    with pytest.raises(ToolError):
        live.search("")


def test_toolsets_hold_what_is_needed_distractors_and_utilities(live: LiveTools, tasks: list[Task]) -> None:
    for task in tasks:
        plan = parse(task.question)
        assert plan is not None
        toolset = live.toolset(task, seed=1)
        names = [contract.name for contract in toolset]
        look_ups = {catalogue()[name][1].name for name in names if name in catalogue()}
        assert len(set(names)) == len(names)
        assert set(plan.relations) < look_ups
        first, *_ = plan.relations
        assert any(relations()[name].of == relations()[first].of for name in look_ups - set(plan.relations))
        assert 3 <= len(look_ups) <= 6
        if task.kind is Kind.TEMPORAL:
            assert "calculator" in names
        assert set(names) <= {*catalogue(), *UTILITIES}
        assert live.toolset(task, seed=1) == toolset
    assert live.toolset(tasks[0], 1, search=True)[-1] is SEARCH
    orders = {tuple(contract.name for contract in live.toolset(tasks[0], seed)) for seed in range(5)}
    assert len(orders) > 1


def test_a_question_from_elsewhere_has_no_live_toolset(live: LiveTools) -> None:
    with pytest.raises(InputError, match="not a question of the lab"):
        live.toolset(Task(id="x", question="Why?", answers=("so",)), 0)


async def test_as_a_tool_source(universe: Universe, live: LiveTools) -> None:
    film, world = universe.by_type["film"][0], World("t")
    contract = catalogue()["show_director"][0]
    box = Toolbox(live)
    observation = await box.call(contract, Call(id="1", name=contract.name, arguments={"title": film.name}), world)
    assert observation.source is Source.LIVE is live.source_of(contract)
    assert observation.content["director"] == film.facts["director"]
    assert field_of(relations()["birth_year"]) == "birth_year"
    calculator = UTILITIES["calculator"].contract
    computed = await box.call(calculator, Call(id="2", name="calculator", arguments={"expression": "9 - 4"}), world)
    assert computed.content == {"value": 5}
    unknown = contract.model_copy(update={"name": "unknown_tool"})
    with pytest.raises(ToolError, match="no live tool"):
        await live.call(unknown, Call(id="3", name="unknown_tool", arguments={}), world)
