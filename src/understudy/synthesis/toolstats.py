"""How many tools a run has, and how often each is offered and called.

The frequencies of tools, ranked from the most frequent on, are fitted by a power law: ordinary least squares of log
frequency on log rank, as the paper's R² of 0.985 suggests. Such a fit describes; it is no test of whether a power law
holds (Clauset, Shalizi and Newman 2009).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from understudy.contract import ToolContract
from understudy.errors import InputError
from understudy.jsonl import read_jsonl
from understudy.noun import Noun
from understudy.synthesis.library import signature
from understudy.synthesis.records import joined
from understudy.synthesis.store import TOOLS, TOOLSETS, TRACES, RunFolder
from understudy.tools.utilities import UTILITIES


class Ranking(Noun):
    """A rank–frequency curve.

    Attributes:
        tools: with a frequency of at least 1.
        total: sum of all frequencies.
        slope: of the power law; None where there are fewer than three tools, or all are equally frequent.
        r2: share of the variance of log frequencies that the fit explains.
        top: the most frequent tools by id.
        frequencies: ``[frequency, number of tools that have it]``, the highest first.
    """

    tools: int
    total: int
    slope: float | None
    r2: float | None
    top: dict[str, int]
    frequencies: tuple[tuple[int, int], ...]


class ToolStats(Noun):
    """What ``understudy tools stats`` measures. Utilities are predefined, so they count apart.

    Attributes:
        tools: distinct contracts.
        up_to_naming: those that remain when contracts that are equal up to naming count once.
        tasks: with a toolset, kept or rejected.
        offered: by the number of tasks that were offered a tool.
        called: by the number of calls in kept traces.
        utilities: calls of each utility in kept traces.
    """

    tools: int
    up_to_naming: int
    tasks: int
    offered: Ranking
    called: Ranking
    utilities: dict[str, int]


TOP = 10


def tool_stats(folder: RunFolder) -> ToolStats:
    """Count the tools of a run.

    Raises:
        InputError: this is no run folder, or a file of it is damaged.
    """
    if not (folder.path / TOOLS).exists():
        raise InputError(f"{folder.path}: not a run folder ({TOOLS} is missing)")
    names: dict[str, str] = {}
    signatures = set()
    for record in read_jsonl(folder.path / TOOLS):
        names[record.pop("id")] = record["name"]
        if record["name"] not in UTILITIES:
            signatures.add(signature(ToolContract.model_construct(**record)))  # was validated when it was written
    offered: Counter[str] = Counter()
    called: Counter[str] = Counter()
    tasks = 0
    for records in joined(folder.path, dict.fromkeys((TOOLSETS, TRACES), "task_id")):
        toolset = records[TOOLSETS]["tools"] if TOOLSETS in records else []
        tasks += TOOLSETS in records
        offered.update(toolset)
        ids = {names[identifier]: identifier for identifier in toolset}
        called.update(ids[name] for name in _calls(records.get(TRACES, {})) if name in ids)
    utilities = {names[key]: count for key, count in sorted(called.items()) if names[key] in UTILITIES}
    ours = {identifier for identifier, name in names.items() if name not in UTILITIES}
    return ToolStats(
        tools=len(ours),
        up_to_naming=len(signatures),
        tasks=tasks,
        offered=_ranking({key: count for key, count in offered.items() if key in ours}),
        called=_ranking({key: count for key, count in called.items() if key in ours}),
        utilities=utilities,
    )


def power_law(frequencies: Iterable[int]) -> tuple[float, float] | None:
    """Slope and R² of log frequency over log rank; None where they are not defined."""
    ranked = np.sort(np.fromiter(frequencies, float))[::-1]
    if len(ranked) < 3 or ranked[0] == ranked[-1]:
        return None
    x, y = np.log(np.arange(1, len(ranked) + 1)), np.log(ranked)
    slope, intercept = np.polyfit(x, y, 1)
    residual = float(np.sum((y - slope * x - intercept) ** 2))
    return float(slope), 1 - residual / float(np.sum((y - y.mean()) ** 2))


def _calls(trace: dict[str, object]) -> Iterable[str]:
    steps = trace.get("steps")
    for step in steps if isinstance(steps, list) else ():
        yield from (call["name"] for call in step["turn"].get("calls", ()))


def _ranking(counts: dict[str, int]) -> Ranking:
    fit = power_law(counts.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Ranking(
        tools=len(counts),
        total=sum(counts.values()),
        slope=fit and fit[0],
        r2=fit and fit[1],
        top=dict(ranked[:TOP]),
        frequencies=tuple(sorted(Counter(counts.values()).items(), reverse=True)),
    )
