"""What the checks read out of text: words up to spelling, dates and numbers up to notation, texts of a JSON value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from understudy.scoring import normalize

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<m{0}>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{{0,6}}\.?"
_DAY = r"(?P<d{0}>\d{{1,2}})(?:st|nd|rd|th)?"
_DATE = re.compile(
    r"(?<!\w)(?:"
    + r"(?P<y1>\d{4})-(?P<m1>\d{1,2})-(?P<d1>\d{1,2})"
    + "|"
    + rf"{_DAY.format(2)} (?:of )?{_MONTH.format(2)},? (?P<y2>\d{{3,4}})"
    + "|"
    + rf"{_MONTH.format(3)} {_DAY.format(3)},? (?P<y3>\d{{3,4}})"
    + r")(?!\w)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w])")
_POSSESSIVE = re.compile(r"['’]s\b", re.IGNORECASE)
ARTICLES = frozenset(("a", "an", "the"))
WORD = re.compile(r"[^\W_]+")


def texts(value: Any) -> Iterator[str]:
    """Every string and number in a JSON value as text, object keys included, without recursion."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item.values())
            yield from item
        elif isinstance(item, list | tuple):
            stack.extend(item)
        elif isinstance(item, int | float) and not isinstance(item, bool):
            yield str(item)


def fold(text: str) -> str:
    """Without diacritics and possessive ``'s``; case is kept."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _POSSESSIVE.sub("", text)


def words(text: str) -> list[str]:
    """The words of ``text``, folded and lower-cased, punctuation as white space, articles dropped."""
    return [word for word in WORD.findall(fold(text).lower()) if word not in ARTICLES]


def dates(text: str) -> set[str]:
    """Full dates as ``YYYY-MM-DD``, whether written 1957-03-04, 4 March 1957 or March 4th, 1957."""
    return {_iso(match) for match in _DATE.finditer(text)}


def without_dates(text: str) -> str:
    """``text`` with its full dates cut out."""
    return _DATE.sub(" ", text)


def numbers(text: str) -> set[float]:
    """Numbers that stand by themselves; ``1,200`` is 1200. Signs are dropped, as a minus may be a hyphen."""
    return {float(match.group().replace(",", "")) for match in _NUMBER.finditer(text)}


def _iso(match: re.Match[str]) -> str:
    form = next(form for form in "123" if match[f"y{form}"])
    month = match[f"m{form}"]
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
    return f"{int(match[f'y{form}']):04}-{number:02}-{int(match[f'd{form}']):02}"


@dataclass(slots=True)
class Seen:
    """Text that grows, and can be asked whether it holds another text: as a run of words, or as the same values.

    What is derived from the text is only computed once a question needs it, as most are settled by the first look.
    """

    _normal: str = "\n"
    _plain: str = "\n"
    _raw: list[str] = field(default_factory=list)
    _words: set[str] = field(default_factory=set)
    _numbers: set[float] = field(default_factory=set)
    _dates: set[str] = field(default_factory=set)

    def add(self, value: Any) -> None:
        """Add every text of a JSON value."""
        new = list(texts(value))
        self._raw += new
        self._normal += "".join(f" {normalize(text)} \n" for text in new)

    def says(self, text: str) -> bool:
        """Whether ``text`` occurs as a run of words, or is a date or a number that occurs in any notation."""
        if _NUMBER.fullmatch(text.strip().lstrip("+-")):  # "1.5" and "15" have one normal form
            return numbers(text) <= self.numbers
        normal = normalize(text)
        if not normal or f" {normal} " in self._normal:
            return True
        self._catch_up()
        plain = " ".join(words(text))
        if plain and f" {plain} " in self._plain:
            return True
        return WORD.search(without_dates(text)) is None and dates(text) <= self._dates

    def knows(self, word: str) -> bool:
        """Whether this one folded, lower-case word occurs."""
        self._catch_up()
        return word in self._words

    @property
    def numbers(self) -> set[float]:
        """All numbers so far."""
        self._catch_up()
        return self._numbers

    @property
    def dates(self) -> set[str]:
        """All full dates so far, as ``YYYY-MM-DD``."""
        self._catch_up()
        return self._dates

    def _catch_up(self) -> None:
        for text in self._raw:
            found = words(text)
            self._words.update(found)
            self._plain += f" {' '.join(found)} \n"
            self._numbers |= numbers(text)
            self._dates |= dates(text)
        self._raw.clear()
