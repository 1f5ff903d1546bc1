"""The tables of the page: lines of text, each with its mark. What a line shows is decided here, how it looks in CSS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from understudy.evaluation.mistakes import MEANING, Mistake
from understudy.metric import Metric
from understudy.report import charts, figures
from understudy.report.model import Controls, Report, Stage
from understudy.report.story import NAMES, describe

KINDS = {
    "bridge": "Bridge",
    "comparison": "Comparison",
    "bridge_comparison": "Bridge comparison",
    "compositional": "Compositional",
    "temporal": "Temporal, numeric",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One row: a name, a mark, the numbers behind it as text, and what the name means."""

    name: str
    mark: Markup
    cells: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading."""

    title: str
    lines: tuple[Line, ...]


def exact_match(report: Report) -> list[Group]:
    """EM of the stages with simulated and live tools, then of the controls. Cells: value, interval, n."""
    groups = []
    for stage in Stage:
        sources = (
            ("simulated", getattr(report.em, stage), stage.value),
            ("live", getattr(report.em_live, stage), "live"),
        )
        lines = tuple(_share(f"{NAMES[stage]}, {source} tools", source, em, style) for source, em, style in sources)
        groups.append(Group(NAMES[stage], lines))
    extra = report.controls or Controls()
    controls = {
        "no tools": report.em.no_tools,
        "no-op": report.em.noop,
        "further SFT": extra.further_sft,
        "shuffled rewards": extra.shuffled_rewards,
        "corrupted simulator": extra.corrupted,
    }
    chance = {"no tools": report.chance.value} if report.chance else {}
    lines = tuple(
        _share(f"Control, {name}", name, em, "control", chance.get(name)) for name, em in controls.items() if em
    )
    return [*groups, Group("Controls", lines)]


def differences(report: Report) -> tuple[list[Line], float]:
    """Paired differences in percentage points, and how far their axis reaches. Cells: value, interval, n."""
    extra = report.controls or Controls()
    named = {
        "Gain: GRPO − SFT": report.gain,
        "Gap: live − simulated": report.gap,
        "GRPO − further SFT": extra.over_further_sft,
        "GRPO − shuffled rewards": extra.over_shuffled_rewards,
        "Live − corrupted": extra.gap_corrupted,
    }
    shown = {name: metric for name, metric in named.items() if metric}
    reach = charts.reach_of(shown.values())
    lines = []
    for name, metric in shown.items():
        cells = figures.points(metric.value), figures.points_interval(metric), figures.integer(metric.n)
        label = f"{name}: {cells[0]} percentage points, 95{figures.THIN}% interval {cells[1]}, n {cells[2]}"
        lines.append(Line(name, charts.difference(metric, reach, label), cells))
    return lines, reach


def breakdown(report: Report) -> list[tuple[Line, ...]]:
    """EM of the stages by kind, and by hops. Cells: the stages' values and n."""
    by_kind = {stage: {KINDS[kind]: em for kind, em in parts.items()} for stage, parts in report.by_kind.items()}
    by_hops = {stage: {f"{hops} hops": em for hops, em in parts.items()} for stage, parts in report.by_hops.items()}
    return [lines for lines in (_parts(by_kind), _parts(by_hops)) if lines]


def mistakes(report: Report) -> list[Line]:
    """What decided the wrong answers, most frequent after GRPO first. Cells: the stages' counts."""
    counts = {stage: report.mistakes.get(stage, {}) for stage in Stage}
    found = [mistake for mistake in Mistake if any(part.get(mistake) for part in counts.values())]
    largest = max((counts[stage].get(mistake, 0) for stage in (Stage.SFT, Stage.GRPO) for mistake in found), default=0)
    lines = []
    for mistake in sorted(found, key=lambda mistake: -counts[Stage.GRPO].get(mistake, 0)):
        numbers = {stage: counts[stage].get(mistake, 0) for stage in Stage}
        name = mistake.replace("_", " ")
        label = f"{name}: " + ", ".join(f"{NAMES[stage]} {number}" for stage, number in numbers.items())
        pair = [(numbers[stage] / max(1, largest), stage.value) for stage in (Stage.SFT, Stage.GRPO)]
        cells = tuple(figures.integer(number) for number in numbers.values())
        lines.append(Line(name, charts.bars(pair, label), cells, MEANING[mistake]))
    return lines


def rejected(report: Report) -> list[Line]:
    """Traces that the audit rejected, by reason. Cells: the count."""
    reasons = sorted(report.traces.rejected.items(), key=lambda item: (-item[1], item[0]))
    largest = max((count for _, count in reasons), default=0) or 1
    return [
        Line(
            reason.replace("_", " "), charts.bars([(count / largest, "control")], f"{reason}: {count}"), (f"{count:,}",)
        )
        for reason, count in reasons
    ]


def _share(label: str, name: str, metric: Metric, style: str, mark: float | None = None) -> Line:
    cells = figures.percent(metric.value), figures.share_interval(metric), figures.integer(metric.n)
    return Line(name, charts.bar(metric, style, describe(label, metric), mark), cells)


def _parts(stages: Mapping[Stage, Mapping[str, Metric]]) -> tuple[Line, ...]:
    """One line per part that any stage has, with a dot per stage."""
    lines = []
    for name in dict.fromkeys(name for parts in stages.values() for name in parts):
        known = {stage: stages[stage][name] for stage in Stage if name in stages.get(stage, {})}
        label = "; ".join(describe(f"{name}, {NAMES[stage]}", metric) for stage, metric in known.items())
        values = (figures.percent(known[stage].value) if stage in known else "" for stage in Stage)
        n = figures.integer(max(metric.n for metric in known.values()))
        mark = charts.dots([(metric, stage.value) for stage, metric in known.items()], label)
        lines.append(Line(name, mark, (*values, n)))
    return tuple(lines)
