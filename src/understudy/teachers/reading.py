"""What code can read out of an encyclopedia's passages: names, dates of a life, countries, and who did what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from understudy.checks.text import WORD, words
from understudy.teachers.comparison import country
from understudy.teachers.mentions import bare

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’')]*\s+(?=[\"“‘(]?[A-Z0-9])")
_ABBREVIATED = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Sr|Jr|Lt|Col|Gen|No|vs|ca|c|Inc|Ltd|Co)|\b[A-Z]\.[A-Z])\.$")
_CAPITAL = r"(?:(?:[A-Z]\.)+|(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Lt)\.|[A-ZÀ-ÖØ-ÞĀ-Ž0-9][\w'’&-]*)"
_LINK = r"(?:of|the|and|de|del|della|di|da|du|la|le|van|von|der|den|bin|ibn|al|el|y|on|in|for|to|a|&)"
_INNER = r"(?:of|the|de|del|della|di|da|du|la|le|van|von|der|den|bin|ibn|al|el|y|&)"
TITLE = re.compile(rf"{_CAPITAL}(?:,? (?:{_LINK} ){{0,2}}{_CAPITAL})*")
"""A run of capitalised words with all that titles have between them, commas included."""
NAME = re.compile(rf"{_CAPITAL}(?: (?:{_INNER} ){{0,2}}{_CAPITAL})*")
"""A run of capitalised words, with the small words that names have between them."""

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
DATE = re.compile(
    rf"\b(?:\d{{1,2}} (?:{MONTHS}),? \d{{3,4}}|(?:{MONTHS}) \d{{1,2}}, ?\d{{3,4}}|(?:{MONTHS}),? \d{{4}})\b"
)
YEAR = re.compile(r"\b(?:1[0-9]|20)\d\d\b")
_LIFE = re.compile(r"\(([^()]*\b\d{3,4}\b[^()]*)\)")
_DIED = re.compile(r"\b(?:died|d\.|†)\s")
_PLACES = {
    "birth": re.compile(r"\bborn\b[^.;–]{0,60}?\b(?:in|at) (?:the )?|\b(?:native|born) of "),
    "death": re.compile(r"\b(?:died|killed|death)\b[^.;]{0,60}?\b(?:in|at) (?:the )?"),
}


@dataclass(frozen=True, slots=True)
class Page:
    """A passage that was found."""

    title: str
    text: str

    @property
    def intro(self) -> str:
        """What an article opens with."""
        return self.text[:400]


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text."""
    kept = ""
    for part in _SENTENCE_END.split(text):
        kept = f"{kept} {part}".strip()
        if not _ABBREVIATED.search(kept):
            yield kept
            kept = ""
    if kept:
        yield kept


def is_about(page: Page, name: str) -> bool:
    """Whether a page's title is this name, apart from what stands in parentheses, case and accents."""
    return words(bare(page.title)) == words(bare(name))


def life(page: Page) -> tuple[str, str]:
    """Dates of birth and death that an article on a person opens with; empty where it tells none."""
    spans = [match.group(1) for match in _LIFE.finditer(page.intro)]
    for span in spans:
        found = dates(span)
        if len(found) >= 2 and re.search(r"[–—-]|died|to", span):
            return found[0], found[1]
        if found:
            return ("", found[0]) if _DIED.search(span) else (found[0], "")
    return "", ""


def dates(text: str) -> list[str]:
    """Dates in their order: full ones, and years that belong to none."""
    found = [(match.start(), match.group()) for match in DATE.finditer(text)]
    rest = DATE.sub(lambda match: " " * len(match.group()), text)
    found += [(match.start(), match.group()) for match in YEAR.finditer(rest)]
    return [date for _, date in sorted(found)]


def place(page: Page, event: str) -> str:
    """Where someone was born (``birth``) or died (``death``), as an article tells it; empty where it doesn't."""
    for match in _PLACES[event].finditer(page.text):
        if (name := NAME.match(page.text, match.end())) and not name.group()[0].isdigit():
            return name.group().rstrip(".,")
    return ""


def nation(page: Page) -> str:
    """The country or its demonym that an article opens with, as it is written there; empty where there is none."""
    found = WORD.findall(_LIFE.sub(" ", page.intro))
    for start in range(len(found)):
        for size in (2, 1):
            part = " ".join(found[start : start + size])
            if part[0].isupper() and country(part):
                return part
    return ""
