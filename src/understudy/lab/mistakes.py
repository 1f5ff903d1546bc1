"""Mistakes of the scripted teacher: their rates, and what a wrong value looks like."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from understudy.config import Config
from understudy.seed import derive_seed
from understudy.task import Fact

Rate = Annotated[float, Field(ge=0, le=1)]
_NUMBER = re.compile(r"\d+")
_TURNED = str.maketrans("aeiouAEIOU", "eiouaEIOUA")


class Mistakes(Config):
    """How often the scripted teacher errs, as probabilities. At most one mistake is made per reply.

    The first four are per turn of look-ups that the agent is about to make, ``wrong_answer`` per answer, the last two
    per request to the ToolActor.
    """

    wrong_tool: Rate = 0.0
    """Ask a tool that doesn't give what is needed; the right one is asked next."""

    malformed: Rate = 0.0
    """Broken JSON, a parameter that doesn't exist, or a misspelt tool; the call is made again."""

    misspelt: Rate = 0.0
    """Two letters of the argument change places, so that nothing is found; the name is then written rightly."""

    premature: Rate = 0.0
    """Answer with what is known so far."""

    wrong_answer: Rate = 0.0
    """Answer with another value than the one found."""

    broken_result: Rate = 0.0
    """ToolActor: a reply that is not JSON, or that breaks the contract."""

    wrong_fact: Rate = 0.0
    """ToolActor: a value that contradicts the facts."""


def mistaken(value: str) -> str:
    """Another value of the same shape: the last number moved by 1 to 9, or else every vowel turned into the next."""
    numbers = list(_NUMBER.finditer(value))
    if not numbers:
        return value.translate(_TURNED)
    last = numbers[-1]
    moved = int(last.group()) + 1 + derive_seed("mistaken", value) % 9
    return f"{value[: last.start()]}{moved}{value[last.end() :]}"


def corrupted(fact: Fact, share: float, seed: int = 0) -> Fact:
    """The fact, or for this share of all facts a wrong one in its place; always the same for the same fact."""
    drawn = derive_seed("corrupted", seed, fact.subject, fact.relation, fact.object) / 2**63
    return fact.model_copy(update={"object": mistaken(fact.object)}) if drawn < share else fact
