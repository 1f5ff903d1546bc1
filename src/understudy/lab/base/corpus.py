"""The base corpus: an endless, seeded stream of pages, built without torch and without the rest of the lab.

`pages(seed, room)` yields pages of about `room` characters, each of one or two forms. The same seed gives the same
stream on any machine (only `random.Random` is used). Nothing here fails on valid arguments.
"""

from collections.abc import Iterator
from random import Random

from understudy.lab.base.forms import FORMS, restate
from understudy.lab.base.page import Page, filler


def make_page(rng: Random, room: int) -> Page:
    """Return one page of about `room` characters; long pages may hold two forms, or open with idle sentences."""
    page = Page()
    forms, weights = zip(*FORMS, strict=True)
    if room > 600 and rng.random() < 0.4:
        split = int(room * rng.uniform(0.2, 0.5))
        rng.choices(forms, weights)[0](rng, page, split)
        page.say("\n")
    elif room > 300 and rng.random() < 0.3:
        page.say(filler(rng, int(room * rng.uniform(0.05, 0.3))))
    form = restate if room < 150 else rng.choices(forms, weights)[0]  # nothing else fits on a very short page
    form(rng, page, max(60, room - len(page)))
    return page


def pages(seed: int, room: int) -> Iterator[Page]:
    """Yield pages for ever, the same ones for the same seed and room (characters)."""
    rng = Random(f"base-corpus-{seed}-{room}")
    while True:
        yield make_page(rng, room)
