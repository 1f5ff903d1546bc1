import itertools
import random

import pytest

from understudy.lab.base import names as base_names
from understudy.lab.documents import document, read
from understudy.lab.names import SIZES, SPLITS, inventories, inventory_words
from understudy.lab.relations import ENTITY_TYPES, VALUES, relations
from understudy.lab.universe import Universe


def test_world_is_as_large_and_varied_as_promised(universe: Universe) -> None:
    assert len(universe.entities) >= 2_000
    assert len({name for entity in universe.entities for name in entity.facts}) >= 20
    ends = {relation.to for relation in relations().values()}
    assert {"person", "film", "city", "company"} <= set(universe.by_type)
    assert set(VALUES) <= ends


def test_names_are_unique_and_people_and_works_have_several_words(universe: Universe) -> None:
    names = [entity.name for entity in universe.entities]
    assert len(set(names)) == len(names)
    for kind in ("person", "film", "company"):
        assert all(len(entity.name.split()) == 2 for entity in universe.by_type[kind])


def test_splits_share_no_entity_and_no_word(universe: Universe) -> None:
    test = Universe(1, "test")
    spoken = [{word for entity in each.entities for word in entity.name.split()} for each in (universe, test)]
    assert not spoken[0] & spoken[1]
    assert spoken[0] <= inventory_words("train")
    assert spoken[1] <= inventory_words("test")


def test_inventories_are_disjoint_and_full() -> None:
    groups = [getattr(inventories()[split], use) for split in SPLITS for use in SIZES]
    assert [len(group) for group in groups] == [*SIZES.values()] * 2
    assert not any(set(first) & set(second) for first, second in itertools.combinations(groups, 2))


def test_no_name_of_the_base_is_a_word_of_the_lab() -> None:
    rng, lab = random.Random(0), inventory_words()
    assert all(base_names.held_out(word) for word in lab)
    assert not lab & {base_names.proper(rng) for _ in range(100_000)}


def test_equal_seeds_give_equal_universes() -> None:
    assert Universe(3, size=300).entities == Universe(3, size=300).entities
    assert Universe(3, size=300).entities != Universe(4, size=300).entities


def test_facts_keep_their_types_and_name_entities_of_the_universe(universe: Universe) -> None:
    for entity in universe.entities:
        for name, value in entity.facts.items():
            relation = relations()[name]
            assert entity.type in relation.of
            if relation.to in ENTITY_TYPES:
                assert universe[value].type == relation.to
            elif relation.to != "date":
                assert value.isdigit()


def test_families_films_and_capitals_make_sense(universe: Universe) -> None:
    for person in universe.by_type["person"]:
        for parent in ("father", "mother"):
            if parent in person.facts:
                born = universe[person.facts[parent]].facts["birth_year"]
                assert int(born) < int(person.facts["birth_year"])
        if "spouse" in person.facts:
            assert universe.value(person.facts["spouse"], "spouse") == person.name
    for film in universe.by_type["film"]:
        born = int(universe[film.facts["director"]].facts["birth_year"])
        assert 20 <= int(film.facts["release_year"]) - born <= 70
    for country in universe.by_type["country"]:
        assert universe.value(country.facts["capital"], "country") == country.name


def test_entities_are_found_by_name_and_alias_in_any_case(universe: Universe) -> None:
    city = universe.by_type["city"][0]
    for name in (city.name, city.name.upper(), f"{city.name} city", f"the {city.name}"):
        assert list(universe.find(name)) == [city]
    assert not universe.find("Nobody Here")
    with pytest.raises(KeyError):
        universe["Nobody Here"]


@pytest.mark.parametrize("seed", range(3))
def test_documents_word_every_fact_and_reading_recovers_them(universe: Universe, seed: int) -> None:
    for entity in universe.entities[seed::3]:
        passage = document(entity, seed)
        assert set(read(passage.title, passage.text)) == set(entity.statements())


def test_every_wording_of_a_relation_occurs(universe: Universe) -> None:
    texts = " ".join(document(entity).text for entity in universe.entities)
    for relation in relations().values():
        for wording in relation.wordings:
            parts = [part.strip() for part in wording.removesuffix(".").replace("{s}", "{o}").split("{o}")]
            assert all(part in texts for part in parts)


def test_prose_that_the_lab_did_not_write_gives_no_facts() -> None:
    assert read("Someone", "Nothing is known. Rain fell! (Someone?)\n\n.") == []


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="train, test"):
        Universe(1, "validation")
