"""The calculator computes what Python computes, and fails only with one line."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import ToolError
from understudy.tools.utilities import UTILITIES
from understudy.tools.utilities.calculator import calculate

numbers = st.integers(0, 10**6).map(str) | st.floats(0, 1e6).map(repr)
powers = st.tuples(numbers, st.sampled_from(["**2", " ** -1", "**0", "**0.5"])).map("".join)
expressions = st.recursive(
    numbers | powers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", "-", "*", "/", " // ", "%"]), inner).map("".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
        inner.map(lambda text: f"abs({text})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda parts: "{}({},{})".format(*parts)),
    ),
    max_leaves=12,
)


@given(expressions)
def test_equals_python(expression: str) -> None:
    try:
        # The trees are ours: numbers, operators, abs, min and max.
        expected: Any = eval(expression, {"__builtins__": {}}, {"abs": abs, "min": min, "max": max})  # noqa: S307
    except (ZeroDivisionError, OverflowError):
        expected = None
    if isinstance(expected, complex) or (isinstance(expected, float) and not math.isfinite(expected)):
        expected = None
    if expected is None:
        with pytest.raises(ToolError):
            calculate(expression)
        return
    value = calculate(expression)
    assert value == (float(expected) if abs(expected) >= 2**63 else expected)
    assert isinstance(value, float) == (isinstance(expected, float) or abs(expected) >= 2**63)


@given(st.text(max_size=200) | st.text("0123456789.+-*/%()^, eEabsmxinroud", max_size=300))
def test_arbitrary_text_gives_a_number_or_a_tool_error(expression: str) -> None:
    try:
        value = calculate(expression)
    except ToolError:
        return
    assert math.isfinite(value)


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9**9", "(" * 900 + "1" + ")" * 90, "-" * 999 + "1", "2**" * 300 + "2", "10.0**10**10", "1e999",
        "9" * 999 + "**2", "round(1, 99)", "1/0", "0**-1", "(-8)**0.5", "sqrt(-1)", "1e308*10",
    ],
)  # fmt: skip
def test_what_would_blow_up_is_refused(expression: str) -> None:
    with pytest.raises(ToolError):
        calculate(expression)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 ^ 10", 1024),
        ("-2 ** 2", -4),
        ("2 ** 3 ** 2", 512),
        ("7 // -2", -4),
        ("7 % -3", -2),
        ("1963 − 1861", 102),
        ("6 × 7 ÷ 2", 21.0),
        ("round(2 / 3, 2)", 0.67),
        ("floor(7/2) + ceil(7/2)", 7),
        ("max(1, 2, 3)", 3),
        ("SQRT(16)", 4.0),
    ],
)
def test_examples(expression: str, value: float) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "expected a number, found 'the end'"),
        ("2 +", "expected a number"),
        ("(1", r"expected '\)'"),
        ("2 2", "unexpected '2'"),
        ("1,000 + 1", "unexpected ','"),
        ("__import__('os')", "unexpected '_'"),
        ("exit()", "unknown function 'exit'"),
        ("abs(1, 2)", "abs can't take 2 arguments"),
        ("1" * 1001, "at most 1000"),
    ],
)
def test_errors_say_what_is_wrong(expression: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        calculate(expression)


def test_results_fit_json() -> None:
    result = UTILITIES["calculator"].run({"expression": "2**100"})
    assert result == {"value": float(2**100)}
    assert UTILITIES["calculator"].contract.result_violations(result) == []
