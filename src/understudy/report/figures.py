"""Numbers as the report prints them: shares as percentages, differences as signed percentage points."""

from __future__ import annotations

import re

from understudy.metric import Metric

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
THIN = "\u202f"  # narrow no-break space, between a number and its unit
MINUS = "\u2212"


def percent(value: float) -> str:
    """``0.8104`` → ``81.0 %``."""
    return f"{_signed(100 * value, 1)}{THIN}%"


def points(value: float) -> str:
    """``0.152`` → ``+15.2``: a difference in percentage points, always signed unless it rounds to 0."""
    text = _signed(100 * value, 1)
    return f"+{text}" if round(100 * value, 1) > 0 else text


def decimal(value: float, digits: int = 2) -> str:
    """``-0.5`` → ``−0.50``."""
    return _signed(value, digits)


def integer(value: int) -> str:
    """``12345`` → ``12,345``."""
    return f"{value:,}".replace("-", MINUS)


def share_interval(metric: Metric) -> str:
    """The interval of a share, in percent."""
    low, high = metric.ci95
    return f"{_signed(100 * low, 1)} to {_signed(100 * high, 1)}"


def points_interval(metric: Metric) -> str:
    """The interval of a difference, in percentage points."""
    low, high = metric.ci95
    return f"{points(low)} to {points(high)}"


def decimal_interval(metric: Metric) -> str:
    """The interval of any other mean."""
    low, high = metric.ci95
    return f"{decimal(low)} to {decimal(high)}"


def duration(seconds: float) -> str:
    """``288.4`` → ``4 min 48 s``."""
    if seconds < 60:
        return f"{seconds:.1f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {rest}{THIN}s"
    return f"{minutes // 60}{THIN}h {minutes % 60}{THIN}min"


def excludes_zero(metric: Metric) -> bool:
    """Whether a difference is told apart from none."""
    return metric.ci95[0] > 0 or metric.ci95[1] < 0


def printable(text: str) -> str:
    """Text with a replacement character for each that HTML or UTF-8 can't carry or that reorders what is around it."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _signed(value: float, digits: int) -> str:
    text = f"{abs(value):.{digits}f}"
    return f"{MINUS}{text}" if value < 0 and float(text) != 0 else text
