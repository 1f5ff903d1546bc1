"""Dates as people and encyclopedias write them, and arithmetic on them in the proleptic Gregorian calendar.

A date may be known to the day (``1987-03-12``, ``12 March 1987``, ``March 12, 1987``), to the month (``1987-03``,
``March 1987``) or to the year (``1987``, ``AD 997``, ``44 BC``). Results never claim more precision than both
operands have.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from dataclasses import dataclass
from typing import Any

from understudy.contract import ToolContract
from understudy.errors import ToolError
from understudy.tools.utilities.utility import Utility, object_schema, text_schema

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTH_NUMBER = {month[:length].lower(): index for index, month in enumerate(MONTHS, 1) for length in (3, len(month))}
_MONTH_NUMBER["sept"] = 9
_ISO = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?", re.ASCII)
_ORDINAL = re.compile(r"(\d)(?:st|nd|rd|th)\b", re.ASCII)
_WORDS = re.compile(r"\d+|[a-z]+", re.ASCII)
_DROPPED = {"of", "the", "on", "ad", "ce"}


@dataclass(frozen=True, slots=True)
class Date:
    """A date known to the day, the month (``day`` is 0) or the year (``month`` is 0 too). 1 BC is year 0."""

    year: int
    month: int = 0
    day: int = 0

    def key(self) -> tuple[int, int, int]:
        """Sorts dates; unknown parts are 0."""
        return self.year, self.month, self.day

    def ordinal(self) -> int:
        """Days since 1 January of year 1; the date must be known to the day."""
        before = self.year - 1
        days = before * 365 + before // 4 - before // 100 + before // 400
        return days + sum(_days(self.year, month) for month in range(1, self.month)) + self.day - 1

    @classmethod
    def from_ordinal(cls, ordinal: int) -> Date:
        """The inverse of ``ordinal``."""
        cycles, rest = divmod(ordinal, 146_097)  # days in 400 years, after which the calendar repeats
        year = cycles * 400 + 1
        while rest >= (length := 366 if isleap(year) else 365):
            rest -= length
            year += 1
        month = 1
        while rest >= (length := _days(year, month)):
            rest -= length
            month += 1
        return cls(year, month, rest + 1)

    def text(self) -> str:
        """ISO 8601 as far as the date is known; ``44 BC`` for years before 1."""
        parts = [f"{self.year:04d}", f"{self.month:02d}", f"{self.day:02d}"]
        known = 3 if self.day else 2 if self.month else 1
        if self.year >= 1:
            return "-".join(parts[:known])
        named = [str(self.day), MONTHS[self.month - 1]][3 - known :] if self.month else []
        return " ".join([*named, f"{1 - self.year} BC"])


def parse_date(text: str) -> Date:
    """Read a date.

    Raises:
        ToolError: the text is not a date in one of the accepted forms, or no such day exists.
    """
    date = _read(text)
    if date is None:
        raise ToolError(f"not a date: {text[:60]!r}; write it like 1987-03-12, 12 March 1987, March 1987 or 1987")
    if date.month > 12 or (date.day and date.day > _days(date.year, date.month)):
        raise ToolError(f"there is no such day: {text[:60]!r}")
    return date


def _read(text: str) -> Date | None:
    if iso := _ISO.fullmatch(text.strip()):
        year, month, day = int(iso[1]), int(iso[2]), int(iso[3] or 1)
        return Date(year, month, day if iso[3] else 0) if month and day and year else None
    plain = _ORDINAL.sub(r"\1", text.lower().replace("b.c.", "bc").replace("bce", "bc"))
    if re.sub(r"[\d\sa-z,.]", "", plain, flags=re.ASCII):
        return None
    words = [word for word in _WORDS.findall(plain) if word not in _DROPPED]
    before_christ = words[-1:] == ["bc"]
    words = words[:-1] if before_christ else words
    month = 0
    named = [index for index, word in enumerate(words) if word in _MONTH_NUMBER]
    if len(named) == 1 and named[0] < 2:
        month = _MONTH_NUMBER[words.pop(named[0])]
    if not words or len(words) > 1 + bool(month) or not all(word.isdigit() and len(word) <= 4 for word in words):
        return None
    year, day = int(words[-1]), int(words[0]) if len(words) == 2 else 0
    if year == 0 or (len(words) == 2 and day == 0):
        return None
    return Date(1 - year if before_christ else year, month, day)


def _days(year: int, month: int) -> int:
    # monthrange refuses years that datetime lacks; the calendar repeats every 400 years.
    return monthrange(year % 400 + 2000, month)[1]


def difference(start: Date, end: Date) -> dict[str, Any]:
    """Days and full years from ``start`` to ``end`` (negative when ``end`` is earlier), and which is earlier.

    ``days`` is null unless both are known to the day. When one is known only to its year or month, ``years`` counts
    what both are known to. ``earlier`` is unknown when the known parts are equal but one date is known further.
    """
    known = 3 if start.day and end.day else 2 if start.month and end.month else 1
    first, second = start.key()[:known], end.key()[:known]
    low, high = min(first, second), max(first, second)
    years = high[0] - low[0] - (high[1:] < low[1:])
    if first == second:
        earlier = "same" if start.key() == end.key() else "unknown"
    else:
        earlier = "start" if first < second else "end"
    return {
        "days": end.ordinal() - start.ordinal() if known == 3 else None,
        "years": years if first <= second else -years,
        "earlier": earlier,
    }


def add(date: Date, years: int = 0, months: int = 0, days: int = 0) -> Date:
    """The date that lies so much later: years and months first, cut to the length of the month, then days.

    Raises:
        ToolError: the date isn't known precisely enough, or the result is outside of 9999 BC to 9999.
    """
    if (months and not date.month) or (days and not date.day):
        raise ToolError(f"{date.text()} is not known precisely enough to add {'days' if days else 'months'}")
    shifted = Date(date.year + years, date.month, date.day)
    if date.month:
        total = shifted.year * 12 + date.month - 1 + months
        year, month = divmod(total, 12)
        shifted = Date(year, month + 1, min(date.day, _days(year, month + 1)))
    if days:
        shifted = Date.from_ordinal(shifted.ordinal() + days)
    if not -9998 <= shifted.year <= 9999:
        raise ToolError("the result is outside of the years 9999 BC to 9999")
    return shifted


def _run_difference(arguments: dict[str, Any]) -> dict[str, Any]:
    return difference(parse_date(arguments["start"]), parse_date(arguments["end"]))


def _run_add(arguments: dict[str, Any]) -> dict[str, Any]:
    amounts = {unit: int(arguments.get(unit, 0)) for unit in ("years", "months", "days")}
    return {"date": add(parse_date(arguments["date"]), **amounts).text()}


# No example dates here: one could be the answer to a question.
_FORMS = "A date as YYYY-MM-DD, as day, month and year in words, or only as far as it is known"
_AMOUNT = {"type": "integer", "minimum": -4_000_000, "maximum": 4_000_000}

DATE_DIFFERENCE = Utility(
    ToolContract(
        name="date_difference",
        description=(
            "The time from one date to another, and which is earlier. days is null and years is by calendar year "
            "when a date is known only to its year."
        ),
        parameters=object_schema({"start": text_schema(_FORMS, 60), "end": text_schema(_FORMS, 60)}),
        returns=object_schema(
            {
                "days": {"type": ["integer", "null"]},
                "years": {"type": "integer"},
                "earlier": {"enum": ["start", "end", "same", "unknown"]},
            }
        ),
    ),
    _run_difference,
)

DATE_ADD = Utility(
    ToolContract(
        name="date_add",
        description="The date some years, months and days after another; negative amounts go back in time.",
        parameters=object_schema(
            {"date": text_schema(_FORMS, 60)}, {"years": _AMOUNT, "months": _AMOUNT, "days": _AMOUNT}
        ),
        returns=object_schema({"date": {"type": "string"}}),
    ),
    _run_add,
)
