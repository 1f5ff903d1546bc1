"""Which relation a text names: the name of a tool, its description, a key of its result, the relation of a fact."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from understudy.lab.relations import ENTITY_TYPES, relations

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LONGEST = 4


def words(text: str) -> list[str]:
    """Lower-case words; snake_case and camelCase come apart."""
    return _WORD.findall(_CAMEL.sub(" ", text).lower())


@lru_cache(maxsize=16_384)
def relation_named(text: str) -> str | None:
    """The relation whose noun stands in a text; of several the longest noun, then the first.

    "country" counts only where nothing else does, as it is also a type: ``country_capital`` gives a capital.
    """
    found = relations_named(text)
    return found[0] if found else None


@lru_cache(maxsize=16_384)
def relations_named(text: str) -> tuple[str, ...]:
    """All relations whose nouns stand in a text, the best match first."""
    spoken = words(text)
    matches = []
    for at in range(len(spoken)):
        for length in range(1, _LONGEST + 1):
            name = _nouns().get(tuple(spoken[at : at + length]))
            if name is not None:
                matches.append((name in ENTITY_TYPES, -length, at, name))
    return tuple(dict.fromkeys(name for *_, name in sorted(matches)))


@cache
def _nouns() -> dict[tuple[str, ...], str]:
    spoken = {tuple(words(relation.noun)): relation.name for relation in relations().values()}
    return {**{tuple(words(name)): name for name in relations() if name not in ENTITY_TYPES}, **spoken}
