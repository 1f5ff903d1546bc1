"""The page: well-formed, self-contained, nothing hostile alive, nothing measured left out."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.jsonl import read_json
from understudy.metric import Metric
from understudy.report import figures
from understudy.report.model import Curve, Report, Stage, TraceCounts
from understudy.report.page import CLIP, render, write_report
from understudy.task import Kind

ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "article", "footer", "div", "p"),
    *("h1", "h2", "h3", "ol", "li", "dl", "dt", "dd", "span", "small", "b", "bdi", "figure", "figcaption", "details"),
    *("summary", "table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "line", "circle", "polyline"),
}


def parsed(report: Report) -> tuple[ElementTree.Element, str]:
    """The page as a tree (it is well-formed XML, too), and all its text with the texts of images."""
    tree = ElementTree.fromstring(render(report))  # noqa: S314 - our own output
    labels = [value for element in tree.iter() for name, value in element.items() if name in ("aria-label", "title")]
    return tree, " ".join([*tree.itertext(), *labels])


@pytest.mark.parametrize("name", ["report", "full", "hostile"])
def test_the_page_is_well_formed_and_needs_nothing_else(name, request):
    report = request.getfixturevalue(name)
    tree, _ = parsed(report)
    assert {element.tag for element in tree.iter()} <= ALLOWED
    attributes = {attribute for element in tree.iter() for attribute in element.keys()}  # noqa: SIM118
    assert not attributes & {"src", "href", "srcset", "action", "data", "style"}
    assert not [attribute for attribute in attributes if attribute.startswith("on")]
    style = next(tree.iter("style")).text
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"https?:", render(report))
    policy = next(meta for meta in tree.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.get("content").startswith("default-src 'none'")
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in tree.iter("svg"))


def test_hostile_text_is_shown_and_harmless(hostile):
    tree, text = parsed(hostile)
    for said in ("<script>alert('x')</script>", "</style></title><img src=x onerror=alert(1)>", "{{ 7*7 }}", "W" * 300):
        assert said in text
    assert "هل وُلد" in text
    html = render(hostile)
    assert "<script" not in html
    assert "<img" not in html
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", html)
    assert all(len(thought.text or "") <= CLIP + 1 for thought in tree.findall(".//*[@class='thought']/span[2]"))
    assert "all 10," in text  # a thought of 10 kB unfolds on demand


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_no_text_breaks_the_page(report, text):
    report = report.model_copy(
        update={
            "model": text,
            "versions": {text: text},
            "seconds": {"total": 1.0, text: 2.0},
            "traces": TraceCounts(synthesised=3, kept=1, rejected={text: 2}),
            "curves": (Curve(stage=Stage.SFT, title=text, series={text: ((1, 0.5), (2, float("nan")))}),),
        }
    )
    tree, _ = parsed(report)
    assert {element.tag for element in tree.iter()} <= ALLOWED


def metrics(value: object) -> list[Metric]:
    if isinstance(value, Metric):
        return [value]
    if isinstance(value, dict):
        return [found for item in value.values() for found in metrics(item)]
    if isinstance(value, list | tuple):
        return [found for item in value for found in metrics(item)]
    fields = getattr(type(value), "model_fields", {})
    return [found for name in fields for found in metrics(getattr(value, name))]


def test_every_metric_is_shown_with_its_interval(full):
    _, text = parsed(full)
    found = [metric for metric in metrics(full) if metric.n]
    assert len(found) > 60
    for metric in found:
        forms = (
            (figures.percent(metric.value), figures.share_interval(metric)),
            (figures.points(metric.value), figures.points_interval(metric)),
            (figures.decimal(metric.value), figures.decimal_interval(metric)),
        )
        assert any(value in text and interval in text for value, interval in forms), metric


def test_sections_without_data_vanish(report, full):
    _, text = parsed(full)
    sections = ("further SFT", "corrupted simulator", "Other seeds", "Learning curves", "By kind and hops", "Behaviour")
    more = ("Where the errors come from", "Examples, before and after", "Played by")
    assert all(section in text for section in (*sections, *more))
    _, plain = parsed(report)
    assert not any(section in plain for section in sections[:3])
    bare = {"curves": (), "by_kind": {}, "by_hops": {}, "behaviour": {}, "mistakes": {}, "examples": ()}
    tree, text = parsed(report.model_copy(update={**bare, "simulation": None, "chance": None}))
    assert not any(section in text for section in (*sections, *more))
    assert len(list(tree.iter("table"))) == 3  # exact match, differences, rejected traces


def test_examples_stand_side_by_side(report):
    tree, _ = parsed(report)
    columns = [article.get("class") for article in next(tree.iter("details")).iter("article")]
    assert columns == ["base", "sft", "grpo"]
    first = " ".join(next(tree.iter("details")).itertext())
    assert all(
        said in first for said in ("✗ wrong", "✓ right", "reward", "correctness", "find_director", "no record of")
    )


def test_what_was_lost_stands_at_its_turn(report):
    tree, _ = parsed(report)
    base, tuned, rewarded = next(tree.iter("details")).iter("article")
    assert [" ".join(lost.itertext()) for lost in base.findall("div[@class='lost']")] == [
        "lost grounding:  no look-up "
    ]
    turns = [len(step.findall("div[@class='lost']")) for step in tuned.iter("li")]
    assert turns == [0, 1, 0]
    assert "grounding:  person: 'Ilse Vargas'" in " ".join(tuned.itertext())
    assert not rewarded.findall(".//div[@class='lost']")


def test_a_report_survives_its_file(full, tmp_path):
    write_report(full, tmp_path)
    known = read_json(tmp_path / "report.json")
    assert Report.model_validate(known) == full
    assert set(known["em"]) == {"base", "sft", "grpo", "no_tools", "noop"}
    assert set(known["em_live"]) == {"base", "sft", "grpo"}
    assert set(known["gap"]) == set(known["gain"]) == {"value", "n", "ci95"}
    assert {"total"} <= set(known["seconds"])
    assert {"synthesised", "kept", "rejected"} == set(known["traces"])
    assert set(known["by_kind"]["grpo"]) == {kind.value for kind in Kind}
    assert (tmp_path / "report.html").read_text() == render(full)
