"""Utility tools: they compute the same in synthesis, training, evaluation and live use."""

from understudy.tools.utilities.calculator import CALCULATOR
from understudy.tools.utilities.dates import DATE_ADD, DATE_DIFFERENCE
from understudy.tools.utilities.texts import TEXT_COMPARE, TEXT_COUNT, TEXT_EXTRACT
from understudy.tools.utilities.units import CONVERT_UNITS
from understudy.tools.utilities.utility import Utility

UTILITIES: dict[str, Utility] = {
    utility.contract.name: utility
    for utility in (
        CALCULATOR,
        DATE_DIFFERENCE,
        DATE_ADD,
        CONVERT_UNITS,
        TEXT_COUNT,
        TEXT_EXTRACT,
        TEXT_COMPARE,
    )
}
"""Every utility by name."""

__all__ = ["UTILITIES", "Utility"]
