"""Whether a policy works with its tools honestly: valid calls, grounded values, no repeats, no misreading.

Each part is 1 without violations and falls as ``1 / (1 + violations)``, never as a share of the calls: adding good
calls can't dilute bad ones, so stuffing a trace with calls gains nothing. Without one answered look-up, or a grounded
answer, there is nothing that a policy could be consistent with, and all parts are 0: doing nothing gains nothing.

Only what the policy decides counts. Where a *tool* contradicts the world, the tool is to blame (see ``composite``);
the policy contradicts the world where it restates an observation with another value, or answers what none supports.
"""

from __future__ import annotations

from collections.abc import Sequence

from understudy.checks.contradiction import misstatements
from understudy.checks.flaw import Flaw
from understudy.checks.grounding import Grounding, grounding
from understudy.checks.repetition import repeated
from understudy.reward.term import Term, unanswered
from understudy.trace import Status, Trace

PARTS = ("valid_calls", "grounding", "no_repeats", "no_contradiction")


def consistency(trace: Trace) -> dict[str, Term]:
    """The four parts, and first of all ``consistency``, their mean; where all parts are 0, it says why."""
    found = grounding(trace)
    if not (found.looked_up or found.answer):
        why = Flaw(turn=None, what="no look-up was answered, and no grounded answer given")
        return {"consistency": Term(0.0, (why,)), **dict.fromkeys(PARTS, Term(0.0))}
    invalid = tuple(
        Flaw(turn=turn, what=f"{call.name}: {observation.content['error']['message']}")
        for turn, call, observation in trace.placed_calls()
        if observation.status is Status.INVALID_CALL
    )
    parts = [_falling(invalid), _grounded(trace, found), _falling(repeated(trace)), _falling(misstatements(trace))]
    mean = Term(sum(part.value for part in parts) / len(parts))
    return {"consistency": mean, **dict(zip(PARTS, parts, strict=True))}


def _falling(flaws: Sequence[Flaw]) -> Term:
    return Term(1 / (1 + len(flaws)), tuple(flaws))


def _grounded(trace: Trace, found: Grounding) -> Term:
    flaws = found.ungrounded
    if not found.answer:
        turn = len(trace.steps) - 1
        flaws += (
            unanswered(trace) if trace.answer is None else Flaw(turn=turn, what=f"answer: {trace.answer[:80]!r}"),
        )
    return Term((1 / (1 + len(found.ungrounded)) + found.answer) / 2, flaws)
