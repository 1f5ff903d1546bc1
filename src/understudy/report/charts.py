"""Charts as inline SVG, built as an XML tree so that every text in them is escaped.

Marks in table rows use percentages of the cell, hence no ``viewBox``: they stretch with the column while strokes and
dots keep their shape. Colours are classes, resolved by the page's style sheet for light and dark. Every chart is an
image with a text alternative, which also is its tooltip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from markupsafe import Markup

from understudy.metric import Metric
from understudy.report.figures import excludes_zero, printable

ROW = 18  # height of a row of marks, in CSS pixels
MAX_POINTS = 300
SMOOTH_FROM = 30  # points from which on a curve is drawn smoothed, over its faint self

Point = tuple[float, float]


def bar(metric: Metric, style: str, label: str, mark: float | None = None) -> Markup:
    """A share in [0, 1] as a bar with its interval.

    Args:
        metric: the share.
        style: class of the bar.
        label: text alternative.
        mark: a level to compare with, drawn as a tick.
    """
    svg = _row(label, (0.25, 0.5, 0.75, 1.0), 0.0, 1.0)
    _add(svg, "rect", style, x="0", y="4", width=_percent(metric.value), height=str(ROW - 8), rx="1.5")
    _whisker(svg, metric, 0.0, 1.0, "whisker")
    if mark is not None:
        _add(svg, "line", "mark", x1=_percent(mark), x2=_percent(mark), y1="0", y2=str(ROW))
    return _markup(svg)


def dots(series: Sequence[tuple[Metric, str]], label: str) -> Markup:
    """Several shares in [0, 1] as dots with intervals on one line; each with the class of its colour."""
    svg = _row(label, (0.0, 0.25, 0.5, 0.75, 1.0), 0.0, 1.0)
    for metric, style in series:
        _whisker(svg, metric, 0.0, 1.0, f"whisker {style}")
    for metric, style in series:
        _add(svg, "circle", style, cx=_percent(metric.value), cy=str(ROW / 2), r="4.5")
    return _markup(svg)


def difference(metric: Metric, reach: float, label: str) -> Markup:
    """A difference as a dot with its interval, on an axis from −reach to +reach with a line at 0."""
    svg = _row(label, (0.0,), -reach, reach)
    style = "told" if excludes_zero(metric) else "untold"
    _whisker(svg, metric, -reach, reach, f"whisker {style}")
    _add(svg, "circle", style, cx=_percent(_place(metric.value, -reach, reach)), cy=str(ROW / 2), r="4.5")
    return _markup(svg)


def bars(shares: Sequence[tuple[float, str]], label: str) -> Markup:
    """Lengths in [0, 1] as bars above each other, in the height of one row; each with the class of its colour."""
    svg = _row(label, (), 0.0, 1.0)
    pitch = ROW / len(shares)
    for index, (share, style) in enumerate(shares):
        height = min(ROW - 8.0, pitch - 2)
        top = index * pitch + (pitch - height) / 2
        _add(svg, "rect", style, x="0", y=f"{top:g}", width=_percent(share), height=f"{height:g}", rx="1.5")
    return _markup(svg)


def reach_of(metrics: Iterable[Metric]) -> float:
    """Half the width of an axis that shows all these differences, rounded up to 5 points."""
    widest = max((abs(end) for metric in metrics for end in (*metric.ci95, metric.value)), default=0.0)
    return max(0.1, math.ceil(widest * 20) / 20)


def bounds(values: Iterable[float], share: bool) -> tuple[float, float]:
    """The vertical range of a curve: all of [0, 1] for shares, else from 0 (or the lowest) to a round number."""
    finite = [value for value in values if math.isfinite(value)]
    if share or not finite:
        return 0.0, 1.0
    low, high = min(0.0, *finite), max(*finite, 0.0)
    unit = 10.0 ** math.floor(math.log10((high - low) or 1.0)) / 2
    return math.floor(low / unit) * unit, math.ceil(high / unit) * unit or 1.0


def lines(series: Sequence[Sequence[Point]], styles: Sequence[str], low: float, high: float, label: str) -> Markup:
    """Curves in a box that stretches to its place; steps share one axis from 0 to the last.

    Args:
        series: points (step, value) each, steps ascending.
        styles: the class of each series.
        low: value at the bottom.
        high: value at the top.
        label: text alternative.
    """
    svg = _svg(label, viewBox="0 0 100 100", preserveAspectRatio="none")
    for level in (0, 25, 50, 75, 100):
        _add(svg, "line", "grid", x1="0", x2="100", y1=str(level), y2=str(level))
    last = max((step for points in series for step, _ in points), default=0.0) or 1.0
    for points, style in zip(series, styles, strict=True):
        drawn = _thin([point for point in points if math.isfinite(point[1])])
        if len(drawn) >= SMOOTH_FROM:
            _path(svg, drawn, f"raw {style}", last, low, high)
            drawn = _smooth(drawn)
        _path(svg, drawn, f"curve {style}", last, low, high)
    return _markup(svg)


def _path(svg: ElementTree.Element, points: Sequence[Point], style: str, last: float, low: float, high: float) -> None:
    places = [f"{100 * step / last:.2f},{100 * (1 - _place(value, low, high)):.2f}" for step, value in points]
    _add(svg, "polyline", style, points=" ".join(places))


def _thin(points: Sequence[Point]) -> list[Point]:
    """At most ``MAX_POINTS`` points: means of equal runs."""
    run = math.ceil(len(points) / MAX_POINTS) or 1
    groups = [points[start : start + run] for start in range(0, len(points), run)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def _smooth(points: Sequence[Point]) -> list[Point]:
    """A centred moving average over a tenth of the curve; the window shrinks at both ends."""
    half = max(1, len(points) // 20)
    smooth = []
    for index, (step, _) in enumerate(points):
        reach = min(half, index, len(points) - 1 - index)
        window = points[index - reach : index + reach + 1]
        smooth.append((step, sum(value for _, value in window) / len(window)))
    return smooth


def _row(label: str, grid: Iterable[float], low: float, high: float) -> ElementTree.Element:
    svg = _svg(label, width="100%", height=str(ROW))
    for level in grid:
        place = _percent(_place(level, low, high))
        _add(svg, "line", "zero" if level == 0 and low < 0 else "grid", x1=place, x2=place, y1="0", y2=str(ROW))
    return svg


def _whisker(svg: ElementTree.Element, metric: Metric, low: float, high: float, style: str) -> None:
    start, end = (_percent(_place(value, low, high)) for value in metric.ci95)
    middle = str(ROW / 2)
    _add(svg, "line", style, x1=start, x2=end, y1=middle, y2=middle)


def _place(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _percent(share: float) -> str:
    return f"{100 * min(1.0, max(0.0, share)):.2f}%"


def _svg(label: str, **attributes: str) -> ElementTree.Element:
    label = printable(label)
    svg = ElementTree.Element("svg", {"role": "img", "aria-label": label, **attributes})
    ElementTree.SubElement(svg, "title").text = label
    return svg


def _add(svg: ElementTree.Element, tag: str, style: str, **attributes: str) -> None:
    ElementTree.SubElement(svg, tag, {"class": style, **attributes})


def _markup(svg: ElementTree.Element) -> Markup:
    return Markup(ElementTree.tostring(svg, encoding="unicode"))  # noqa: S704 - escaped by the serialiser
