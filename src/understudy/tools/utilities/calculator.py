"""Arithmetic by a bounded grammar, evaluated while it is parsed. No ``eval``, no names beyond the listed functions.

    sum     = product { ("+" | "-") product }
    product = unary { ("*" | "/" | "//" | "%") unary }
    unary   = ("+" | "-") unary | power
    power   = atom [ ("**" | "^") unary ]
    atom    = number | function "(" sum { "," sum } ")" | "(" sum ")"

Precedence, associativity and number types are Python's: whole numbers stay exact, ``/`` and ``sqrt`` give floats.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from understudy.contract import ToolContract
from understudy.errors import ToolError
from understudy.tools.utilities.utility import Utility, object_schema, text_schema

Number = int | float

MAX_LENGTH = 1000
MAX_NESTING = 50
MAX_BITS = 4096
_TOKEN = re.compile(r"\s*(?:((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([A-Za-z]+)|(\*\*|//|[-+*/%^(),]))", re.ASCII)
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "–": "-"})


def calculate(expression: str) -> Number:
    """The value of an expression.

    Raises:
        ToolError: it is not in the grammar, is undefined (division by zero), or exceeds a bound.
    """
    if len(expression) > MAX_LENGTH:
        raise ToolError(f"the expression has {len(expression)} characters; at most {MAX_LENGTH} are accepted")
    parser = _Parser(_tokens(expression.translate(_SIGNS)))
    try:
        value = parser.sum()
        parser.expect_end()
        # JSON numbers beyond 64 bits don't survive every reader, so they leave as floats.
        return value if isinstance(value, float) or abs(value) < 2**63 else float(value)
    except ZeroDivisionError:
        raise ToolError("division by zero") from None
    except OverflowError:
        raise ToolError("a value is too large") from None


def _tokens(expression: str) -> list[str]:
    tokens, cursor, text = [], 0, expression.rstrip()
    while cursor < len(text):
        match = _TOKEN.match(text, cursor)
        if match is None:
            raise ToolError(f"unexpected {text[cursor:].lstrip()[0]!r} in the expression")
        tokens.append(match.group().strip())
        cursor = match.end()
    return tokens


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        raise OverflowError
    value = base**exponent
    if isinstance(value, complex):
        raise ToolError("a fractional power of a negative number is not real")
    return value


def _round(value: Number, digits: Number = 0) -> Number:
    if not isinstance(digits, int) or not 0 <= digits <= 15:
        raise ToolError("round takes a number of digits from 0 to 15")
    return round(value, digits) if digits else round(value)


def _sqrt(value: Number) -> float:
    if value < 0:
        raise ToolError("sqrt of a negative number is not real")
    return math.sqrt(value)


# function: (fewest arguments, most arguments, code)
_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Number]]] = {
    "abs": (1, 1, abs),
    "min": (2, MAX_LENGTH, min),
    "max": (2, MAX_LENGTH, max),
    "round": (1, 2, _round),
    "floor": (1, 1, math.floor),
    "ceil": (1, 1, math.ceil),
    "sqrt": (1, 1, _sqrt),
}


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._next, self._nesting = tokens, 0, 0

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            self._next -= 1
            raise ToolError(f"expected {token!r}, found {self._peek() or 'the end'!r}")

    def expect_end(self) -> None:
        if self._peek():
            raise ToolError(f"unexpected {self._peek()!r} in the expression")

    def sum(self) -> Number:
        value = self._product()
        while (operator := self._peek()) in ("+", "-"):
            self._next += 1
            right = self._product()
            value = _bounded(value + right if operator == "+" else value - right)
        return value

    def _product(self) -> Number:
        value = self._unary()
        while (operator := self._peek()) in ("*", "/", "//", "%"):
            self._next += 1
            right = self._unary()
            match operator:
                case "*":
                    value = _bounded(value * right)
                case "/":
                    value = _bounded(value / right)
                case "//":
                    value = _bounded(value // right)
                case _:
                    value = _bounded(value % right)
        return value

    def _unary(self) -> Number:
        # Every recursion of the grammar passes through here, so this is where depth is bounded.
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise ToolError(f"the expression is nested more than {MAX_NESTING} levels deep")
        operator = self._peek()
        if operator in ("+", "-"):
            self._next += 1
            value = self._unary()
            value = -value if operator == "-" else value
        else:
            value = self._atom()
            if self._peek() in ("**", "^"):
                self._next += 1
                value = _bounded(_power(value, self._unary()))
        self._nesting -= 1
        return value

    def _atom(self) -> Number:
        token = self._take()
        if token == "(":  # noqa: S105 - a token of the grammar
            value = self.sum()
            self._expect(")")
            return value
        if token[:1].isalpha():
            return self._function(token)
        if token[:1].isdigit() or token[:1] == ".":
            return _bounded(int(token) if token.isdigit() else float(token))
        raise ToolError(f"expected a number, found {token or 'the end'!r}")

    def _function(self, token: str) -> Number:
        name = token.lower()
        if name not in _FUNCTIONS:
            raise ToolError(f"unknown function {token!r}; functions: {', '.join(_FUNCTIONS)}")
        fewest, most, code = _FUNCTIONS[name]
        self._expect("(")
        arguments = [self.sum()]
        while self._peek() == ",":
            self._next += 1
            arguments.append(self.sum())
        self._expect(")")
        if not fewest <= len(arguments) <= most:
            raise ToolError(f"{name} can't take {len(arguments)} argument{'s' * (len(arguments) != 1)}")
        return _bounded(code(*arguments))


def _bounded(value: Number) -> Number:
    if value.bit_length() > MAX_BITS if isinstance(value, int) else not math.isfinite(value):
        raise OverflowError
    return value


def _run(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"value": calculate(arguments["expression"])}


CALCULATOR = Utility(
    ToolContract(
        name="calculator",
        description=(
            "Compute an arithmetic expression with + - * / // % **, parentheses, and the functions "
            f"{', '.join(_FUNCTIONS)}. Numbers are written without thousands separators."
        ),
        parameters=object_schema({"expression": text_schema("For example (3 + 4) * 2", MAX_LENGTH)}),
        returns=object_schema({"value": {"type": "number"}}),
    ),
    _run,
)
