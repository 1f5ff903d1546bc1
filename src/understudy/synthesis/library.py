"""The tool library: which contracts there are, which fit a question, and which two are one.

Contracts have places, from 0, in the order in which they came in. Every question is put to the first ``size`` of them,
so what it gets depends on that number and on nothing that came in meanwhile. The contracts themselves lie on the disk;
what is kept of each in memory is a hundred bytes.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from bisect import bisect_left
from typing import Any

import numpy as np

from understudy.checks.grounding import contract_texts
from understudy.checks.text import words
from understudy.contract import ToolContract
from understudy.hashes import HashMap, hash64
from understudy.schema import canonical

STEM = 5
"""Letters of a word that count when a question is compared with contracts: "directed" finds ``get_director``."""
COMMON, FEW = 0.2, 10
"""A word in more than this share of contracts, and in more than so many, says nothing about which of them fits."""

_FILLERS = frozenset(
    re.findall(
        r"\w+",
        "a an and by fetch find for from get give given gives in list look lookup of on query read retrieve return "
        "search show tell tells the to up with",
    )
)
_GENERIC = frozenset(
    re.findall(
        r"\w+", "entity id identifier input item key keyword keywords name query subject term text title topic value"
    )
)
_SAID_OF = ("description", "title", "examples", "default")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def contract_id(contract: ToolContract) -> str:
    """The name and a short hash of the whole contract, as tools of different tasks may share a name."""
    return f"{contract.name}-{hashlib.sha256(contract.key()).hexdigest()[:12]}"


def signature(contract: ToolContract) -> int:
    """A hash that two contracts share when they are equal up to naming.

    Equal are the words of each parameter and of each result, whatever their case, order and connectives
    (``placeOfBirth``, ``birth_place``), their types, and what the tool's name says beyond them: ``find_director(film)``
    and ``get_film_director(film)`` are one, ``get_director(film)`` and ``get_film(director)`` are two. Where a
    parameter is a mere ``name`` or ``query``, what it is a name of stands in the descriptions; they have to agree too.
    """
    takes, gives = _fields(contract.parameters), _fields(contract.returns)
    named = {word for fields in (takes, gives) for field in fields for word in field[0]}
    beyond = set(_words(contract.name)) - named
    if any(_GENERIC.issuperset(field[0]) for field in takes):
        told = " ".join(contract_texts(contract))
        beyond |= set(_words(told)) - named - _GENERIC
    return hash64(canonical([takes, gives, sorted(beyond)]).decode())


class ToolLibrary:
    """An index over contracts that are added one by one."""

    def __init__(self) -> None:
        self._places = HashMap()
        self._stems: dict[str, array[int]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, contract: ToolContract) -> bool:
        """Give a contract the next place, unless one that is equal up to naming has one."""
        if self._places.setdefault(signature(contract), self._size) != self._size:
            return False
        for stem in {word[:STEM] for text in contract_texts(contract) for word in words(text)} - _FILLERS:
            self._stems.setdefault(stem, array("I")).append(self._size)
        self._size += 1
        return True

    def same(self, contract: ToolContract, size: int) -> int | None:
        """The place, among the first ``size``, of the contract that equals this one up to naming."""
        place = self._places.get(signature(contract))
        return place if place is not None and place < size else None

    def similar(self, question: str, size: int, limit: int) -> list[int]:
        """Places of contracts that share words with a question, the best first.

        Words count by their inverse document frequency (Spärck Jones 1972) among the first ``size`` contracts; equal
        scores go by place.
        """
        scores = np.zeros(size, np.float32)
        for stem in sorted({word[:STEM] for word in words(question)} - _FILLERS):
            places = self._stems.get(stem)
            often = bisect_left(places, size) if places else 0
            if places and 0 < often <= max(FEW, COMMON * size):
                scores[np.frombuffer(places, np.uint32)[:often]] += np.log(1 + size / often)
        found = np.flatnonzero(scores)
        if len(found) > limit:
            found = found[scores[found] >= np.partition(scores[found], -limit)[-limit]]
        best: list[int] = found[np.argsort(-scores[found], kind="stable")][:limit].tolist()
        return best


def _fields(schema: dict[str, Any]) -> list[tuple[list[str], bool, Any]]:
    """Each property as its words, whether it is required, and its schema without what is said of it."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return []
    return sorted(
        ((sorted(_words(name)), name in (required or ()), _shape(value)) for name, value in properties.items()),
        key=lambda field: canonical(list(field)),
    )


def _shape(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    return {key: value for key, value in schema.items() if key not in _SAID_OF}


def _words(name: str) -> list[str]:
    return [word for word in words(_HUMP.sub(" ", name).replace("_", " ")) if word not in _FILLERS]
