"""Whether a policy works with its tools honestly: valid calls, grounded values, no repeats, no misreading.

Each part is 1 without violations and falls as ``1 / (1 + violations)``, never as a share of the calls: adding good
calls can't dilute bad ones, so stuffing a trace with calls gains nothing. Without one answered look-up, or a grounded
answer, there is nothing that a policy could be consistent with, and all parts are 0: doing nothing gains nothing.

Only what the policy decides counts. Where a *tool* contradicts the world, the tool is to blame (see ``composite``);
the policy contradicts the world where it restates an observation with another value, or answers what none supports.
"""

from __future__ import annotations

from understudy.checks.contradiction import misstatements
from understudy.checks.grounding import grounding
from understudy.checks.repetition import repeated
from understudy.trace import Status, Trace

PARTS = ("valid_calls", "grounding", "no_repeats", "no_contradiction")


def consistency(trace: Trace) -> dict[str, float]:
    """The four parts, each in [0, 1]; their mean is the consistency of the trace."""
    found = grounding(trace)
    if not (found.looked_up or found.answer):
        return dict.fromkeys(PARTS, 0.0)
    invalid = sum(observation.status is Status.INVALID_CALL for _, observation in trace.calls())
    values = (
        1 / (1 + invalid),
        (1 / (1 + len(found.ungrounded)) + found.answer) / 2,
        1 / (1 + len(repeated(trace))),
        1 / (1 + len(misstatements(trace))),
    )
    return dict(zip(PARTS, values, strict=True))
