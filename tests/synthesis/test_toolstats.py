"""Counting tools, and fitting a power law to how often they are used."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmteacher import run
from understudy.errors import InputError
from understudy.report.loglog import Curve, rank_frequency
from understudy.synthesis.store import RunFolder
from understudy.synthesis.toolstats import power_law, tool_stats


def test_a_power_law_is_found() -> None:
    slope, r2 = power_law([round(1e6 * rank**-1.2) for rank in range(1, 500)]) or (0, 0)
    assert slope == pytest.approx(-1.2, abs=0.01)
    assert r2 > 0.999


@pytest.mark.parametrize("frequencies", [[], [3], [3, 2], [4, 4, 4]])
def test_too_little_to_fit(frequencies: list[int]) -> None:
    assert power_law(frequencies) is None


@given(st.lists(st.integers(1, 10**6), min_size=3), st.randoms())
def test_a_fit_does_not_depend_on_order_and_explains_no_more_than_all(frequencies: list[int], draw: object) -> None:
    fit = power_law(frequencies)
    draw.shuffle(frequencies)  # type: ignore[attr-defined]
    assert fit == power_law(frequencies)
    assert fit is None or (fit[0] <= 1e-9 and -1e-9 <= fit[1] <= 1 + 1e-9)


def test_tools_of_a_run(tmp_path: Path) -> None:
    run(tmp_path, 40)
    found = tool_stats(RunFolder(tmp_path))
    # Of each toolset: a director tool in three wordings, a date tool, and the calculator, which is a utility.
    assert (found.tools, found.up_to_naming, found.tasks) == (4, 2, 30)
    assert (found.offered.total, found.offered.tools) == (60, 4)
    assert (found.called.total, found.called.tools) == (44, 4)
    ((first, calls), *_) = found.called.top.items()
    assert (first.rpartition("-")[0], calls) == ("get_date_of_birth", 22)
    assert sum(frequency * number for frequency, number in found.called.frequencies) == 44


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        tool_stats(RunFolder(tmp_path))


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**5)), unique_by=lambda pair: pair[0], max_size=8))
def test_every_curve_is_drawn_inside_of_its_axes(pairs: list[tuple[int, int]]) -> None:
    text = rank_frequency([Curve("a <b> & c", sorted(pairs, reverse=True), -1.1), Curve("none", [])], "title & more")
    svg = ElementTree.fromstring(text)  # noqa: S314 (our own)
    for mark in svg.iter():
        for key in ("cx", "x1", "x2"):
            assert 63 <= float(mark.get(key, "100")) <= 697
        for key in ("cy", "y1", "y2"):
            assert 23 <= float(mark.get(key, "100")) <= 393
