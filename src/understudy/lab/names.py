"""Name inventories: the words that names of the lab are made of, and how names are put together.

Every word starts or ends with a consonant cluster that no spoken syllable of the base model's corpus has
(``lab/base/names.py``), so the base cannot have learned a lab name by heart. Train and test have inventories without a
common word, and so have given names, surnames, titles, organisations and places within a split.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from functools import cache

OPENINGS = "bh dh kh jh lh nh vh bj fj hj kj lj mj nj tj vj vr zr sr hr zl ml hl zv dv hv gv zm km dz bw gw mw zw pf"
ENDINGS = "lc rc nf mf nj rj lj rv lv sf rz lz mz dz nz zd zk lg vd mr"
CONSONANTS = "bcdfghjklmnprstvwz"
VOWELS = "aeiou"
CLOSING = "bdfgklmnprst"
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
    short = [a + b + c for a, b, c in itertools.product(OPENINGS.split(), VOWELS, CLOSING)]
    short += [a + b + c for a, b, c in itertools.product(CONSONANTS, VOWELS, ENDINGS.split())]
    long = [
        "".join(parts)
        for parts in itertools.product(OPENINGS.split(), VOWELS, CLOSING, VOWELS, ("", "n", "r", "l", "s", "k"))
    ]
    rng.shuffle(short)
    rng.shuffle(long)
    supply = {True: iter(long), False: iter(short)}
    return {
        split: Inventory(
            **{
                use: tuple(word.capitalize() for word in itertools.islice(supply[use == "place"], size))
                for use, size in SIZES.items()
            }
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
