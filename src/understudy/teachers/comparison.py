"""Answers that have to be worked out: the earlier of two, who lived longer, whether two values are the same.

The annotated answer counts only when the values found support it, so that a trace never teaches a conclusion that does
not follow.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from understudy.errors import ToolError
from understudy.scoring import normalize
from understudy.teachers.mentions import bare
from understudy.teachers.plan import Step
from understudy.tools.utilities.dates import Date, difference, parse_date

_WORDS = {
    Step.LONGEST: r"longer|longest",
    Step.SHORTEST: r"shorter|shortest",
    Step.EARLIEST: r"earlier|earliest|first|older|oldest|elder|before",
    Step.LATEST: r"later|latest|last|younger|youngest|recently|recent|newer|newest|after",
}


def wanted(question: str, names: Sequence[str]) -> Step | None:
    """Which of two the question asks for, read from its words without the names that it compares."""
    rest = question.lower()
    for name in names:
        rest = rest.replace(name.lower(), " ")
    return next((step for step, pattern in _WORDS.items() if re.search(rf"\b(?:{pattern})\b", rest)), None)


def chosen(step: Step, options: Sequence[Sequence[str]]) -> int | None:
    """The option that the values single out; None when they don't.

    Args:
        step: what is wanted.
        options: the values of each: one date, or birth and death where a life's length is wanted.
    """
    try:
        dates = [[parse_date(value) for value in values] for values in options]
    except ToolError:
        return None
    spans = step in (Step.LONGEST, Step.SHORTEST)
    if len(dates) != 2 or any(len(values) != 1 + spans for values in dates):
        return None
    if spans:
        lengths = [_length(*values) for values in dates]
        if lengths[0] == lengths[1] or None in lengths:
            return None
        return lengths.index(max(lengths) if step is Step.LONGEST else min(lengths))  # type: ignore[type-var]
    earlier = difference(dates[0][0], dates[1][0])["earlier"]
    if earlier not in ("start", "end"):
        return None
    return int((earlier == "start") == (step is Step.LATEST))


def _length(birth: Date, death: Date) -> int | None:
    return difference(birth, death)["days"]  # type: ignore[no-any-return]


@cache
def _countries() -> dict[str, str]:
    table = tomllib.loads(files("understudy.teachers").joinpath("countries.toml").read_text(encoding="utf-8"))
    return {normalize(name): country for country, others in table.items() for name in (country, *others)}


def country(value: str) -> str:
    """The country that a value names or is the demonym of; empty when it is none that is listed."""
    return _countries().get(normalize(value), "")


def same(first: str, second: str) -> bool:
    """Whether two values are one: equal up to notation, or names of one country."""
    if normalize(bare(first)) == normalize(bare(second)):
        return True
    return bool(country(first)) and country(first) == country(second)
