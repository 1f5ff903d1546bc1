"""Name inventories: the words that names of the lab are made of, and how names are put together.

Every word is one that the base model's corpus holds out (``lab/base/names.py``), so the base cannot have learned a lab
name by heart. Train and test have inventories without a common word, and so have given names, surnames, titles,
organisations and places within a split.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from functools import cache

from understudy.lab.base.names import held_out
from understudy.lab.base.tokenizer import CODAS, NUCLEI, ONSETS, everyday_words

SPLITS = ("train", "test")
SIZES = {"given": 350, "surname": 600, "title": 600, "organisation": 400, "place": 2000}
"""Words per inventory and split."""


@dataclass(frozen=True)
class Inventory:
    """The words of one split, by what they name."""

    given: tuple[str, ...]
    surname: tuple[str, ...]
    title: tuple[str, ...]
    organisation: tuple[str, ...]
    place: tuple[str, ...]

    def person(self, rng: random.Random) -> str:
        """A given name and a surname."""
        return f"{rng.choice(self.given)} {rng.choice(self.surname)}"

    def work(self, rng: random.Random) -> str:
        """The title of a film or a book: two different words."""
        return " ".join(rng.sample(self.title, 2))

    def body(self, rng: random.Random) -> str:
        """The name of a company or a school: two different words."""
        return " ".join(rng.sample(self.organisation, 2))


@cache
def inventories() -> dict[str, Inventory]:
    """The inventories of both splits. They are fixed: a universe's seed chooses names, never words."""
    rng = random.Random("understudy-lab-names")
    syllables = ["".join(parts) for parts in itertools.product(ONSETS, NUCLEI, CODAS)]
    spoken = frozenset(everyday_words())
    words = [a + b for a, b in itertools.product(syllables, repeat=2) if held_out(a + b) and a + b not in spoken]
    supply = iter(rng.sample(words, len(SPLITS) * sum(SIZES.values())))
    return {
        split: Inventory(
            **{use: tuple(word.capitalize() for word in itertools.islice(supply, size)) for use, size in SIZES.items()}
        )
        for split in SPLITS
    }


@cache
def inventory_words(split: str | None = None) -> frozenset[str]:
    """Every word that a name of the lab can contain, capitalised; of one split, or of both."""
    chosen = inventories().values() if split is None else [inventories()[split]]
    return frozenset(word for inventory in chosen for words in vars(inventory).values() for word in words)


def split_of(name: str) -> str | None:
    """The split that a name's words come from; None for a name that is not of the lab."""
    said = name.split()
    return next((split for split in SPLITS if any(word in inventory_words(split) for word in said)), None)
