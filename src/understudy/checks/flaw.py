"""What a check found, and in which turn: what reward and audit have in common."""

from __future__ import annotations

from understudy.noun import Noun


class Flaw(Noun):
    """One thing that a check holds against a trace.

    Attributes:
        turn: index of the step in the trace, from 0; None where no single turn is to blame.
        what: a line on what was found.
    """

    turn: int | None
    what: str
