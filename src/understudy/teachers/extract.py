"""The best short span for a question, by its type and by what stands around it. No model, and no gold."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from understudy.checks.text import words
from understudy.scoring import normalize
from understudy.teachers.comparison import country
from understudy.teachers.reading import DATE, MONTHS, NAME, YEAR, Page, sentences

_SMALL = frozenset(
    """of in on at to for from by with and or is was were are be been did do does has had have that which who whom whose
    what when where how why it its his her their this these as into than then also there same both one two film movie
    song name named called known""".split()  # noqa: SIM905 (a list of as many strings is not read)
)


class Wanted(StrEnum):
    """What kind of span answers a question."""

    DATE = "date"
    YEAR = "year"
    NUMBER = "number"
    PERSON = "person"
    PLACE = "place"
    NATION = "nation"
    NAME = "name"


_WANTED = (
    (Wanted.YEAR, r"\b(?:what|which) year\b|\byear (?:was|did|were)\b"),
    (Wanted.DATE, r"^when\b|\bwhen (?:is|was|did|were)\b|\b(?:what|which|on what) (?:date|day)\b|\bdate of\b|birthday"),
    (Wanted.NUMBER, r"\bhow (?:many|much|old|long|far|large|tall|big)\b|\bpopulation\b|\bwhat (?:number|percentage)\b"),
    (Wanted.NATION, r"\bnationality\b|\b(?:what|which) country\b|\bcountry of (?:origin|citizenship)\b"),
    (
        Wanted.PLACE,
        r"^where\b|\bwhere (?:is|was|did|were)\b|\b(?:what|which) (?:\w+ )?"
        r"(?:city|town|state|county|region|province|village|district|place|area|continent|island)\b|\bplace of\b",
    ),
    (Wanted.PERSON, r"^who\b|\bwho (?:is|was|did|were)\b|\bwhose\b|\b(?:what|which) (?:\w+ ){0,2}(?:actor|actress|"
     r"singer|author|writer|director|person|man|woman|player|musician|politician|president)\b"),
)  # fmt: skip

_NUMBER = re.compile(
    r"\b\d[\d,.]*\d\b(?: (?:million|billion|percent))?|\b\d\b|"
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fifteen|twenty|thirty)\b"
)
MAX_DISTANCE = 15
"""Words to either side of a span that count."""

_MONTHS = frozenset(MONTHS.split("|"))
_PLACED = re.compile(r"\b(?:in|at|near|of|from|to)\s+(?:the (?:city|town|village) of )?$")


def wanted(question: str) -> Wanted:
    """The type of a question's answer."""
    asked = question.lower()
    return next((kind for kind, pattern in _WANTED if re.search(pattern, asked)), Wanted.NAME)


def content_words(text: str) -> list[str]:
    """Words that say what a text is about."""
    return [stem(word) for word in words(text) if word not in _SMALL]


def stem(word: str) -> str:
    """A word without the commonest endings, so that "directed" and "directs" are alike."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def best_span(question: str, pages: Sequence[Page]) -> str:
    """The span that most probably answers; empty when nothing has its type.

    A span is worth what its sentence shares with the question, rare words more, near ones more, and the best-ranked
    pages a little more. A span that the question says already can't be its answer.
    """
    kind, asked = wanted(question), set(content_words(question))
    told = f" {normalize(question)} "
    lines = [(rank, page, line) for rank, page in enumerate(pages) for line in sentences(page.text)]
    stems = [Counter(content_words(f"{page.title} {line}")) for _, page, line in lines]
    spread = Counter(word for counts in stems for word in counts)
    weight = {word: math.log(1 + len(lines) / spread[word]) for word in asked if spread[word]}
    best, best_score = "", 0.0
    for (rank, _, line), counts in zip(lines, stems, strict=True):
        shared = sum(weight[word] for word in weight if word in counts)
        if not shared:
            continue
        for start, span in spans(kind, line):
            normal = normalize(span)
            if not normal or f" {normal} " in told:
                continue
            near = _nearness(line, start, start + len(span), weight)
            score = (shared + 2 * near) / (1 + 0.05 * rank)
            if score > best_score:
                best, best_score = span, score
    return best


def spans(kind: Wanted, line: str) -> Iterator[tuple[int, str]]:
    """Spans of a type in a sentence, with where they start."""
    if kind is Wanted.DATE:
        pattern = DATE if DATE.search(line) else YEAR
        yield from ((match.start(), match.group()) for match in pattern.finditer(line))
    elif kind is Wanted.YEAR:
        yield from ((match.start(), match.group()) for match in YEAR.finditer(line))
    elif kind is Wanted.NUMBER:
        yield from ((match.start(), match.group()) for match in _NUMBER.finditer(DATE.sub("", line)))
    else:
        for match in NAME.finditer(line):
            span = match.group().rstrip(".,-")
            if _is(kind, span, line[: match.start()]):
                yield match.start(), span


def _is(kind: Wanted, span: str, before: str) -> bool:
    if span[0].isdigit() or (not before and len(span.split()) == 1 and span.lower() in _SMALL | {"he", "she", "the"}):
        return False
    if kind is Wanted.NATION:
        return bool(country(span))
    if span.split()[0] in _MONTHS or (country(span) and (kind is not Wanted.PLACE or country(span) != span)):
        return False
    if kind is Wanted.PLACE:
        return bool(_PLACED.search(before))
    return kind is not Wanted.PERSON or len(span.split()) >= 2


def _nearness(line: str, start: int, end: int, weight: Mapping[str, float]) -> float:
    """Weight of the question's words around a span, halved every five words of distance."""
    sides = words(line[:start])[::-1], words(line[end:])
    return sum(
        weight.get(stem(word), 0.0) * math.exp2(-distance / 5)
        for side in sides
        for distance, word in enumerate(side[:MAX_DISTANCE])
    )
