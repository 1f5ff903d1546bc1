"""A made-up universe: entities of five types and the facts about them, drawn from one seed.

Two universes of different splits share no entity and no word of any name. A universe is consistent: parents are born
before children, spouses are each other's, films come after their directors' birth.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from understudy.lab.names import SPLITS, Inventory, inventories
from understudy.lab.relations import VALUES, Relation, relations_of
from understudy.scoring import normalize
from understudy.task import Fact

SHARES = {"person": 0.46, "film": 0.25, "city": 0.15, "country": 0.02, "company": 0.12}
LETTERS = {"person": "p", "film": "f", "city": "c", "country": "n", "company": "o"}
ALIASES = {
    "film": "{} (film)",
    "city": "{} City",
    "country": "Republic of {}",
    "company": "{} Ltd",
}
MONTHS = ("January February March April May June July August September October November December").split()  # noqa: SIM905 (readable as one line of text)
RANGES = {
    "runtime": (62, 239),
    "population": (1_000, 99_999),
    "area": (1_000, 99_999),
    "founding_year": (1600, 1880),
}
"""Values of relations that depend on nothing else, both ends included."""
BORN = (1850, 1985)
"""Years of birth, both ends included."""
AGES = {"release_year": (20, 70), "death_date": (46, 95)}
"""How old somebody is then: the director of the film, or who dies. Both ends included."""


def draw_value(relation: str, born: int, rng: random.Random) -> str:
    """The text of a year, date or quantity, drawn as universes draw it.

    Args:
        relation: whose object is a value.
        born: year of birth of whoever the value depends on, if on anybody.
        rng: draws it.
    """
    if relation == "birth_year":
        return str(born)
    if relation in RANGES:
        return str(rng.randint(*RANGES[relation]))
    if relation == "death_date":
        return f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {born + rng.randint(*AGES[relation])}"
    return str(born + rng.randint(*AGES[relation]))


@dataclass(frozen=True)
class Entity:
    """Something that has a document. ``facts`` maps a relation's name to the text of its object."""

    id: str
    type: str
    name: str
    aliases: tuple[str, ...]
    male: bool = False
    facts: dict[str, str] = field(default_factory=dict)

    def statements(self) -> list[Fact]:
        """The facts as statements about this entity."""
        return [Fact(subject=self.name, relation=relation, object=value) for relation, value in self.facts.items()]


class Universe:
    """All entities, findable by type and by name.

    Args:
        seed: of everything that is drawn.
        split: whose names it uses, ``train`` or ``test``.
        size: number of entities.
    """

    def __init__(self, seed: int, split: str = "train", size: int = 2_100) -> None:
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; use one of {', '.join(SPLITS)}")
        self.seed, self.split = seed, split
        rng = random.Random(f"universe-{split}-{seed}-{size}")
        self.by_type = _name_all(rng, inventories()[split], size)
        self.entities = tuple(entity for group in self.by_type.values() for entity in group)
        _Author(rng, self.by_type).state_all()
        self._by_name: dict[str, list[Entity]] = {}
        for entity in self.entities:
            for name in (entity.name, *entity.aliases):
                self._by_name.setdefault(normalize(name), []).append(entity)

    def __getitem__(self, name: str) -> Entity:
        """The entity with this full name.

        Raises:
            KeyError: there is none.
        """
        for entity in self.find(name):
            if entity.name == name:
                return entity
        raise KeyError(name)

    def find(self, name: str) -> Sequence[Entity]:
        """Entities whose name or alias this is, up to case, punctuation and articles."""
        return self._by_name.get(normalize(name), ())

    def value(self, name: str, relation: str) -> str | None:
        """The object of a relation of the entity with this full name."""
        return self[name].facts.get(relation)


def _name_all(rng: random.Random, words: Inventory, size: int) -> dict[str, list[Entity]]:
    places = iter(rng.sample(words.place, len(words.place)))
    makers: dict[str, Callable[[], str]] = {
        "person": lambda: words.person(rng),
        "film": lambda: words.work(rng),
        "city": lambda: next(places),
        "country": lambda: next(places),
        "company": lambda: words.body(rng),
    }
    taken: set[str] = set()
    groups: dict[str, list[Entity]] = {}
    for kind, share in SHARES.items():
        group = groups[kind] = []
        count = max(8, round(size * share))
        while len(group) < count:
            name = makers[kind]()
            if name in taken:
                continue
            taken.add(name)
            alias = f"{name[0]}. {name.split()[1]}" if kind == "person" else ALIASES[kind].format(name)
            identifier = f"{LETTERS[kind]}{len(group)}"
            group.append(Entity(identifier, kind, name, (alias,), kind == "person" and rng.random() < 0.5))
    return groups


class _Author:
    """Writes the facts of all entities of a universe, each relation once."""

    def __init__(self, rng: random.Random, by_type: dict[str, list[Entity]]) -> None:
        self._rng, self._by_type = rng, by_type
        self._born = {person.name: rng.randint(*BORN) for person in by_type["person"]}
        self._parents: dict[tuple[bool, int], list[Entity]] = {}
        for person in by_type["person"]:
            self._parents.setdefault((person.male, self._born[person.name]), []).append(person)
        self._spouses = dict(self._couples())
        self._directors = {film.name: rng.choice(by_type["person"]).name for film in by_type["film"]}
        cities = rng.sample(by_type["city"], len(by_type["country"]))
        self._capitals = {country.name: city.name for country, city in zip(by_type["country"], cities, strict=True)}
        self._governing = {city: country for country, city in self._capitals.items()}

    def state_all(self) -> None:
        for kind, group in self._by_type.items():
            for entity in group:
                stated = list(relations_of(kind))
                self._rng.shuffle(stated)
                for relation in stated:
                    value = self._object(entity, relation)
                    if value is not None:
                        entity.facts[relation.name] = value

    def _couples(self) -> Iterator[tuple[str, str]]:
        single = sorted(self._by_type["person"], key=lambda person: self._born[person.name])
        for first, second in zip(single[::2], single[1::2], strict=False):
            if self._rng.random() < 0.85:
                yield first.name, second.name
                yield second.name, first.name

    def _object(self, entity: Entity, relation: Relation) -> str | None:
        rng, name = self._rng, relation.name
        if name == "spouse":
            return self._spouses.get(entity.name)
        if name == "director":
            return self._directors[entity.name]
        if name == "capital":
            return self._capitals[entity.name]
        if name == "country" and entity.name in self._governing:
            return self._governing[entity.name]
        if rng.random() >= relation.share:
            return None
        if name in ("father", "mother"):
            born = self._born[entity.name] - rng.randint(18, 45)
            parents = self._parents.get((name == "father", born))
            return rng.choice(parents).name if parents else None
        if relation.to in VALUES:
            born = self._born.get(self._directors.get(entity.name, entity.name), BORN[0])
            return draw_value(name, born, rng)
        others = self._by_type[relation.to]
        while (other := rng.choice(others)) is entity:
            pass
        return other.name
