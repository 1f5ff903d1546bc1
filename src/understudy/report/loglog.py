"""Rank–frequency curves on logarithmic axes, as an SVG file of its own.

Points are steps of equal frequency, drawn at the last rank of each, so a curve of any length has few of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

WIDTH, HEIGHT = 720, 440
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 24, 24, 48
_COLOURS = ("#2563eb", "#c2410c", "#15803d")


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve.

    Attributes:
        name: as the legend has it.
        frequencies: ``(frequency, number of things that have it)``, the highest first.
        slope: of the fitted power law; None for no line.
    """

    name: str
    frequencies: Sequence[tuple[int, int]]
    slope: float | None = None


def rank_frequency(curves: Iterable[Curve], title: str) -> str:
    """The SVG document. Curves without a point are left out."""
    drawn = [curve for curve in curves if curve.frequencies]
    ranks = max((sum(number for _, number in curve.frequencies) for curve in drawn), default=1)
    most = max((curve.frequencies[0][0] for curve in drawn), default=1)
    axes = _Axes(max(1, math.ceil(math.log10(max(ranks, 2)))), max(1, math.ceil(math.log10(max(most, 2)))))
    svg = ElementTree.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "aria-label": title,
         "font-family": "system-ui, sans-serif", "font-size": "13"},
    )  # fmt: skip
    ElementTree.SubElement(svg, "title").text = title
    ElementTree.SubElement(svg, "rect", {"width": str(WIDTH), "height": str(HEIGHT), "fill": "#ffffff"})
    axes.draw(svg)
    for index, curve in enumerate(drawn):
        _draw(svg, axes, curve, _COLOURS[index % len(_COLOURS)], index)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


@dataclass(frozen=True, slots=True)
class _Axes:
    """Powers of ten that the axes reach."""

    right: int
    top: int

    def x(self, rank: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * math.log10(rank) / self.right

    def y(self, frequency: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * math.log10(frequency) / self.top

    def draw(self, svg: ElementTree.Element) -> None:
        for power in range(self.right + 1):
            x = self.x(10**power)
            _line(svg, x, _TOP, x, HEIGHT - _BOTTOM, "#e5e7eb")
            _text(svg, x, HEIGHT - _BOTTOM + 18, f"{10**power:,}", "middle")
        for power in range(self.top + 1):
            y = self.y(10**power)
            _line(svg, _LEFT, y, WIDTH - _RIGHT, y, "#e5e7eb")
            _text(svg, _LEFT - 8, y + 4, f"{10**power:,}", "end")
        _text(svg, (WIDTH + _LEFT - _RIGHT) / 2, HEIGHT - 8, "rank of the tool", "middle")
        _text(svg, 8, 14, "frequency", "start")


def _draw(svg: ElementTree.Element, axes: _Axes, curve: Curve, colour: str, index: int) -> None:
    rank = 0
    logs = []
    for frequency, number in curve.frequencies:
        first, rank = rank + 1, rank + number
        y = axes.y(frequency)
        if number > 1:
            _line(svg, axes.x(first), y, axes.x(rank), y, colour, width="3")
        ElementTree.SubElement(
            svg, "circle", {"cx": f"{axes.x(first):.1f}", "cy": f"{y:.1f}", "r": "3", "fill": colour}
        )
        logs.append((first, rank, math.log10(frequency)))
    if curve.slope is not None:
        # A least-squares line goes through the mean of the logarithms.
        mean_x = math.lgamma(rank + 1) / math.log(10) / rank
        mean_y = sum(log * (last - first + 1) for first, last, log in logs) / rank
        ends = [
            (10**x, 10 ** (mean_y + curve.slope * (x - mean_x))) for x in _visible(axes, curve.slope, mean_x, mean_y)
        ]
        (x1, y1), (x2, y2) = ends
        _line(svg, axes.x(x1), axes.y(y1), axes.x(x2), axes.y(y2), colour, dashes="5 4")
    _text(svg, WIDTH - _RIGHT - 8, _TOP + 18 + 20 * index, curve.name, "end", colour)


def _visible(axes: _Axes, slope: float, mean_x: float, mean_y: float) -> tuple[float, float]:
    """Where, in powers of ten, the fitted line enters and leaves the box."""
    if slope == 0:
        return 0.0, float(axes.right)
    enters, leaves = sorted((mean_x + (level - mean_y) / slope) for level in (0.0, float(axes.top)))
    return max(0.0, enters), min(float(axes.right), leaves)


def _line(
    svg: ElementTree.Element,
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    colour: str,
    width: str = "1",
    dashes: str = "",
) -> None:
    places = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    dashed = {"stroke-dasharray": dashes} if dashes else {}
    ElementTree.SubElement(svg, "line", {**places, "stroke": colour, "stroke-width": width, **dashed})


def _text(svg: ElementTree.Element, x: float, y: float, said: str, anchor: str, colour: str = "#374151") -> None:
    placed = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "fill": colour}
    ElementTree.SubElement(svg, "text", placed).text = said
