"""Utilities compute, within bounds, whatever they are given."""

import math
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import ToolError
from understudy.tools.utilities import UTILITIES


def run(name: str, **arguments: Any) -> dict[str, Any]:
    utility = UTILITIES[name]
    assert utility.contract.argument_violations(arguments) == []
    result = utility.run(arguments)
    assert utility.contract.result_violations(result) == []
    return result


def arguments_of(contract_schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Arbitrary arguments that keep a utility's parameters."""

    def value(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if schema["type"] == "string":
            return st.text(min_size=1, max_size=min(schema["maxLength"], 80))
        if schema["type"] == "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        return st.floats(allow_nan=False, allow_infinity=False) | st.integers()

    properties = {key: value(schema) for key, schema in contract_schema["properties"].items()}
    required = contract_schema["required"]
    return st.fixed_dictionaries(
        {key: properties[key] for key in required},
        optional={key: made for key, made in properties.items() if key not in required},
    )


@pytest.mark.parametrize("name", list(UTILITIES))
@given(data=st.data())
def test_any_valid_arguments_give_a_valid_result_or_a_tool_error(name: str, data: st.DataObject) -> None:
    contract = UTILITIES[name].contract
    try:
        result = UTILITIES[name].run(data.draw(arguments_of(contract.parameters)))
    except ToolError as error:
        message = str(error)
        result = None
    if result is None:
        assert len(message.splitlines()) == 1
    else:
        assert contract.result_violations(result) == []


def test_names_are_the_keys() -> None:
    assert {name: utility.contract.name for name, utility in UTILITIES.items()} == {name: name for name in UTILITIES}


# --- dates ---


@pytest.mark.parametrize(
    "text", ["1987-03-12", "12 March 1987", "March 12, 1987", "12th of March 1987", "12 mar. 1987", "March 12 1987"]
)
def test_forms_of_one_day(text: str) -> None:
    assert run("date_difference", start=text, end="1987-03-12") == {"days": 0, "years": 0, "earlier": "same"}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("13 March 1987", "12 March 1990", {"days": 1095, "years": 2, "earlier": "start"}),
        ("12 March 1990", "13 March 1987", {"days": -1095, "years": -2, "earlier": "end"}),
        ("1861", "9 March 1963", {"days": None, "years": 102, "earlier": "start"}),
        ("1861", "9 March 1861", {"days": None, "years": 0, "earlier": "unknown"}),
        ("March 1861", "February 1862", {"days": None, "years": 0, "earlier": "start"}),
        ("44 BC", "AD 14", {"days": None, "years": 57, "earlier": "start"}),
    ],
)
def test_differences(start: str, end: str, expected: dict[str, Any]) -> None:
    assert run("date_difference", start=start, end=end) == expected


@pytest.mark.parametrize("text", ["soon", "30 February 2001", "2001-13-01", "0", "12 12 1987", "1 2 March 1990", "²"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ToolError, match="no"):
        run("date_difference", start=text, end="2000")


@given(st.dates(), st.dates())
def test_differences_agree_with_the_standard_library(start: date, end: date) -> None:
    result = run("date_difference", start=start.isoformat(), end=end.isoformat())
    assert result["days"] == (end - start).days
    assert result["earlier"] == ("same" if start == end else "start" if start < end else "end")


@given(st.dates(date(1000, 1, 1), date(3000, 1, 1)), st.integers(-200_000, 200_000))
def test_adding_days_agrees_with_the_standard_library(start: date, days: int) -> None:
    assert run("date_add", date=start.isoformat(), days=days) == {"date": (start + timedelta(days)).isoformat()}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"date": "31 January 2023", "months": 1}, "2023-02-28"),
        ({"date": "29 February 2024", "years": 1}, "2025-02-28"),
        ({"date": "March 1987", "months": 11}, "1988-02"),
        ({"date": "1987", "years": -2000}, "14 BC"),
        ({"date": "1 January 1 AD", "days": -1}, "31 December 1 BC"),
    ],
)
def test_adding(arguments: dict[str, Any], expected: str) -> None:
    assert run("date_add", **arguments) == {"date": expected}


def test_days_are_not_added_to_a_year() -> None:
    with pytest.raises(ToolError, match="precisely"):
        run("date_add", date="1987", days=3)


# --- units ---


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (1, "mile", "km", 1.609344),
        (26.2, "miles", "kilometers", 42.1648128),
        (100, "miles per hour", "kilometers per hour", 160.9344),
        (212, "°F", "celsius", 100),
        (-40, "Celsius", "Fahrenheit", -40),
        (6, "feet", "cm", 182.88),
        (2, "square miles", "hectares", 517.9976220672),
        (90, "minutes", "hours", 1.5),
    ],
)
def test_conversions(value: float, source: str, target: str, expected: float) -> None:
    result = run("convert_units", value=value, from_unit=source, to_unit=target)
    assert result["value"] == pytest.approx(expected, rel=1e-12)


def test_quantities_do_not_mix() -> None:
    with pytest.raises(ToolError, match="mile measures length, kilogram measures mass"):
        run("convert_units", value=1, from_unit="mile", to_unit="kg")


@given(
    st.floats(-1e6, 1e6), st.sampled_from(["m", "mile", "ft", "light-year"]), st.sampled_from(["km", "inch", "yard"])
)
def test_conversion_there_and_back(value: float, source: str, target: str) -> None:
    there = run("convert_units", value=value, from_unit=source, to_unit=target)["value"]
    back = run("convert_units", value=there, from_unit=target, to_unit=source)["value"]
    assert math.isclose(back, value, rel_tol=1e-12, abs_tol=1e-300)


# --- text ---


@pytest.mark.parametrize(("unit", "count"), [("characters", 27), ("letters", 19), ("words", 5), ("sentences", 2)])
def test_counting(unit: str, count: int) -> None:
    assert run("text_count", text="It's déjà vu. Again, again!", unit=unit) == {"count": count}


def test_counting_a_phrase_matches_whole_words() -> None:
    assert run("text_count", text="The cat, a cat and cats: CAT!", unit="phrase", phrase="cat") == {"count": 3}
    with pytest.raises(ToolError, match="phrase"):
        run("text_count", text="x", unit="phrase")


@pytest.mark.parametrize(
    ("what", "items"),
    [
        ("numbers", ["1,234.5", "12", "1987"]),
        ("years", ["1987"]),
        ("dates", ["12 March 1987"]),
        ("quoted", ["Foo bar"]),
        ("names", ["Ludwig van Beethoven", "Foo", "March"]),
    ],
)
def test_extracting(what: str, items: list[str]) -> None:
    text = "Ludwig van Beethoven paid 1,234.5 for “Foo bar” on 12 March 1987."
    assert run("text_extract", text=text, what=what) == {"items": items}


@pytest.mark.parametrize("what", ["numbers", "years", "dates", "quoted", "names"])
@pytest.mark.parametrize("unit", ["A", "1,", '"a', "A of ", "1 March ", "-"])
def test_extracting_takes_linear_time(what: str, unit: str) -> None:
    run("text_extract", text=(unit * 20_000)[:20_000], what=what)  # the suite's time limit would catch a blow-up


def test_comparing_is_as_answers_are_compared() -> None:
    same = {"same": True, "first_in_second": True, "second_in_first": True}
    assert run("text_compare", first="The U.S.", second="us") == same
    assert run("text_compare", first="York", second="New York")["first_in_second"]
