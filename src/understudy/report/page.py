"""``report.html``: one page that needs nothing else. No scripts, no fonts, no request to anywhere.

Questions, traces and names come from models and tools, so nothing of them is trusted: the templates escape everything,
text is isolated from the direction of its surroundings, and the page's own policy forbids it to load or run anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import chain, repeat
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import ValidationError

from understudy.errors import InputError
from understudy.jsonl import read_json, write_atomic, write_json
from understudy.report import charts, figures, story, tables
from understudy.report.model import Curve, Report, Stage
from understudy.schema import dumps

JSON, HTML = "report.json", "report.html"
CLIP = 400
"""Characters of a text that are shown at once; the rest unfolds."""


def write_report(report: Report, folder: Path) -> None:
    """Write ``report.json`` and ``report.html`` into a folder, each atomically.

    Raises:
        InputError: the disk refuses it.
    """
    write_json(folder / JSON, report.model_dump(mode="json"))
    write_atomic(folder / HTML, render(report))


def read_report(folder: Path) -> Report | None:
    """The report that was written into a folder; None if one of its files is missing or damaged."""
    try:
        return Report.model_validate(read_json(folder / JSON)) if (folder / HTML).exists() else None
    except (InputError, ValidationError):
        return None


def render(report: Report) -> str:
    """The page of a report."""
    differences, reach = tables.differences(report)
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            matches=tables.exact_match(report),
            differences=differences,
            reach=reach,
            breakdown=tables.breakdown(report),
            mistakes=tables.mistakes(report),
            rejected=tables.rejected(report),
            curves=[_plot(curve) for curve in report.curves if any(curve.series.values())],
        )
    )


@dataclass(frozen=True, slots=True)
class Plot:
    """A learning curve, drawn: its series (name, class, first → last value), and the ends of both axes."""

    title: str
    series: tuple[tuple[str, str, str], ...]
    drawing: Markup
    low: str
    high: str
    last: str


def _plot(curve: Curve) -> Plot:
    named = {name: points for name, points in curve.series.items() if points}
    number = figures.percent if curve.share else figures.decimal
    series = tuple(
        (name, style, f"{number(points[0][1])} → {number(points[-1][1])}")
        for (name, points), style in zip(
            named.items(), chain([curve.stage.value, "second"], repeat("third")), strict=False
        )
    )
    low, high = charts.bounds((value for points in named.values() for _, value in points), curve.share)
    last = max(step for points in named.values() for step, _ in points)
    label = f"{curve.title} over {last} steps: {'; '.join(f'{name} {ends}' for name, _, ends in series)}"
    return Plot(
        title=f"{story.NAMES[curve.stage]}: {curve.title}",
        series=series,
        drawing=charts.lines(list(named.values()), [style for _, style, _ in series], low, high, label),
        low=f"{100 * low:.0f}{figures.THIN}%" if curve.share else f"{low:g}",
        high=f"{100 * high:.0f}{figures.THIN}%" if curve.share else f"{high:g}",
        last=figures.integer(last),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("understudy.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: figures.printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {name: getattr(figures, name) for name in ("percent", "points", "decimal", "integer", "duration")}
        | {name: getattr(figures, name) for name in ("share_interval", "points_interval", "decimal_interval")}
        | {"json": dumps}
    )
    environment.globals.update(story=story, Stage=Stage, clip=CLIP)
    return environment
