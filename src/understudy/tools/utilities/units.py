"""Unit conversion between units of one quantity. Factors are the exact SI definitions where such exist."""

from __future__ import annotations

import math
from typing import Any

from understudy.contract import ToolContract
from understudy.errors import ToolError
from understudy.tools.utilities.utility import Utility, object_schema, text_schema

# quantity: unit → (size in the quantity's base unit, other spellings). The first unit is the base.
_UNITS: dict[str, dict[str, tuple[float, str]]] = {
    "length": {
        "metre": (1, "m meter"),
        "kilometre": (1000, "km kilometer"),
        "centimetre": (0.01, "cm centimeter"),
        "millimetre": (0.001, "mm millimeter"),
        "inch": (0.0254, "in inches"),
        "foot": (0.3048, "ft feet"),
        "yard": (0.9144, "yd"),
        "mile": (1609.344, "mi"),
        "nautical mile": (1852, "nmi"),
        "light-year": (9_460_730_472_580_800, "ly"),
    },
    "mass": {
        "kilogram": (1, "kg"),
        "gram": (0.001, "g"),
        "milligram": (1e-6, "mg"),
        "tonne": (1000, "t"),
        "pound": (0.45359237, "lb lbs"),
        "ounce": (0.028349523125, "oz"),
        "stone": (6.35029318, "st"),
        "short ton": (907.18474, "ton"),
    },
    "area": {
        "square metre": (1, "m2 m² sqm"),
        "square kilometre": (1e6, "km2 km² sqkm"),
        "hectare": (1e4, "ha"),
        "acre": (4046.8564224, "ac"),
        "square foot": (0.09290304, "ft2 ft² sqft"),
        "square mile": (2_589_988.110336, "mi2 mi² sqmi"),
    },
    "volume": {
        "cubic metre": (1, "m3 m³"),
        "litre": (0.001, "l liter"),
        "millilitre": (1e-6, "ml milliliter"),
        "cubic kilometre": (1e9, "km3 km³"),
        "cubic foot": (0.028316846592, "ft3 ft³"),
        "US gallon": (0.003785411784, "gal gallon"),
        "US pint": (0.000473176473, "pt pint"),
        "oil barrel": (0.158987294928, "bbl barrel"),
    },
    "time": {
        "second": (1, "s sec"),
        "minute": (60, "min"),
        "hour": (3600, "h hr"),
        "day": (86_400, "d"),
        "week": (604_800, "wk"),
        "year": (31_556_952, "yr"),  # mean Gregorian year
    },
    "speed": {
        "metre per second": (1, "m/s"),
        "kilometre per hour": (1000 / 3600, "km/h kph"),
        "mile per hour": (0.44704, "mph mi/h"),
        "knot": (1852 / 3600, "kn kt"),
    },
    # Temperatures have an offset beside a size; see _OFFSETS.
    "temperature": {"kelvin": (1, "k"), "celsius": (1, "c °c"), "fahrenheit": (5 / 9, "f °f")},
}
_OFFSETS = {"celsius": 273.15, "fahrenheit": 459.67 * 5 / 9}


def _spellings() -> dict[str, tuple[str, str]]:
    found = {}
    for quantity, units in _UNITS.items():
        for unit, (_, others) in units.items():
            for spelling in {unit.lower(), *others.split()}:
                found[spelling] = quantity, unit
    return found


_SPELLINGS = _spellings()


def convert(value: float, from_unit: str, to_unit: str) -> float:
    """``value`` in another unit of the same quantity.

    Raises:
        ToolError: a unit is unknown, the two measure different quantities, or the value is out of range.
    """
    (quantity, source), (target_quantity, target) = _lookup(from_unit), _lookup(to_unit)
    if quantity != target_quantity:
        raise ToolError(f"{source} measures {quantity}, {target} measures {target_quantity}")
    units = _UNITS[quantity]
    try:
        base = float(value) * units[source][0] + _OFFSETS.get(source, 0)
    except OverflowError:
        base = math.inf
    result = (base - _OFFSETS.get(target, 0)) / units[target][0]
    if not math.isfinite(result):
        raise ToolError("the value is too large")
    # Fifteen significant digits are what a float holds for certain; the rest is noise of the factors.
    return float(f"{result:.15g}")


def _lookup(unit: str) -> tuple[str, str]:
    plain = " ".join(unit.lower().replace("_", " ").split())
    for spelling in (plain, plain.removesuffix("s"), plain.replace("s per ", " per "), _american(plain)):
        if spelling in _SPELLINGS:
            return _SPELLINGS[spelling]
    known = ", ".join(name for units in _UNITS.values() for name in units)
    raise ToolError(f"unknown unit {unit[:40]!r}; units: {known}")


def _american(plain: str) -> str:
    return plain.replace("meter", "metre").replace("feet", "foot").removesuffix("s").replace("s per ", " per ")


def _run(arguments: dict[str, Any]) -> dict[str, Any]:
    value = convert(arguments["value"], arguments["from_unit"], arguments["to_unit"])
    return {"value": value, "unit": _lookup(arguments["to_unit"])[1]}


CONVERT_UNITS = Utility(
    ToolContract(
        name="convert_units",
        description=f"Convert a value between units of {', '.join(_UNITS)}.",
        parameters=object_schema(
            {
                "value": {"type": "number"},
                "from_unit": text_schema("Unit of the value, for example km/h", 40),
                "to_unit": text_schema("Unit to convert to", 40),
            }
        ),
        returns=object_schema({"value": {"type": "number"}, "unit": {"type": "string"}}),
    ),
    _run,
)
