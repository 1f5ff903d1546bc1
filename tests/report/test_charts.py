"""Charts stay inside of their frame and well-formed, whatever the numbers."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from understudy.metric import Metric
from understudy.report import charts

ANY = st.floats(allow_nan=False, allow_infinity=False, width=32)
METRICS = st.builds(lambda value, low, high: Metric(value=value, n=3, ci95=(low, high)), ANY, ANY, ANY)


def parsed(drawing: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawing)  # noqa: S314 - our own output


def places(drawing: str) -> list[float]:
    svg = parsed(drawing)
    names = ("x", "x1", "x2", "cx", "width")
    found = [element.get(name) for element in list(svg)[1:] for name in names if "%" in (element.get(name) or "")]
    return [float(place.removesuffix("%")) for place in found]


@given(METRICS)
def test_marks_stay_in_their_cell(metric):
    for drawing in (
        charts.bar(metric, "sft", "<&>", 2.0),
        charts.dots([(metric, "sft")] * 3, "label"),
        charts.difference(metric, 0.25, "label"),
        charts.bars([(metric.value, "sft"), (metric.ci95[0], "grpo")], "label"),
    ):
        assert places(drawing)
        assert all(0 <= place <= 100 for place in places(drawing))


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(width=32)), max_size=700), st.booleans())
def test_curves_stay_in_their_box(points, share):
    points.sort()
    low, high = charts.bounds((value for _, value in points), share)
    assert low < high
    svg = parsed(charts.lines([points], ["sft"], low, high, "label"))
    for line in svg.iter("polyline"):
        pairs = [pair.split(",") for pair in line.get("points").split()]
        assert len(pairs) <= charts.MAX_POINTS
        assert all(-0.01 <= float(x) <= 100.01 and -0.01 <= float(y) <= 100.01 for x, y in pairs)


def test_a_rising_curve_rises():
    svg = parsed(charts.lines([[(0, 0.0), (5, 0.5), (10, 1.0)]], ["sft"], 0.0, 1.0, "label"))
    assert next(svg.iter("polyline")).get("points") == "0.00,100.00 50.00,50.00 100.00,0.00"


def test_the_axis_of_differences_shows_them_all():
    reach = charts.reach_of([Metric(value=0.1, n=9, ci95=(-0.31, 0.2)), Metric(value=0.0, n=9, ci95=(0.0, 0.0))])
    assert 0.31 <= reach <= 0.36
    assert charts.reach_of([]) > 0
