"""Questions: plans worded, several ways for each. ``parsing.py`` reads exactly these wordings back."""

from __future__ import annotations

import random

from understudy.lab.plans import Op, Path, Plan
from understudy.lab.relations import ORDERS, compounds, relations

VALUE_FRAMES = ("{wh} is {x}?", "Name {x}.", "Tell me {x}.", "Can you find {x}?", "Find out {wh} {x} is.")
CHOICE_FRAMES = (
    "{Which} {pred}, {a} or {b}?",
    "{a} or {b}: {which} {pred}?",
    "Between {a} and {b}, {which} {pred}?",
    "Of {a} and {b}, {which} {pred}?",
)
SAME_FRAMES = (
    "Do {a} and {b} have the same {noun}?",
    "Do {a} and {b} share the same {noun}?",
    "Is the {noun} of {a} also the {noun} of {b}?",
    "Have {a} and {b} got the same {noun}?",
)
DIFFERENCE_FRAMES = (
    "What is the difference between {a} and {b}?",
    "By how much do {a} and {b} differ?",
    "How far apart are {a} and {b}?",
    "How large is the gap between {a} and {b}?",
)
SUM_FRAMES = (
    "What is the sum of {a} and {b}?",
    "What do {a} and {b} add up to?",
    "Add up {a} and {b}.",
    "What is the total of {a} and {b}?",
)


def word(plan: Plan, kind: str, rng: random.Random) -> str:
    """A question with this meaning.

    Args:
        plan: the meaning.
        kind: the entity type of the paths' starts.
        rng: chooses the phrasing.
    """
    first, last = plan.paths[0], plan.paths[-1]
    end = relations()[first.relations[-1]]
    if plan.op is Op.VALUE:
        wh = "who" if end.to == "person" else "what"
        frame = rng.choice(VALUE_FRAMES).replace("{wh}", wh)
        return _capitalised(frame.format(x=_noun_phrase(first, kind, plan.composed, rng)))
    if plan.op in (Op.LESS, Op.MORE):
        pred = f"the {ORDERS[end.to][plan.op is Op.MORE]} {end.noun}"
        if len(first.relations) > 1:
            pred = f"the {relations()[first.relations[0]].noun} with {pred}"
        which = "who" if kind == "person" else f"which {kind}"
        choice = rng.choice(CHOICE_FRAMES)
        return choice.format(Which=_capitalised(which), which=which, pred=f"has {pred}", a=first.start, b=last.start)
    if plan.op is Op.SAME:
        a, b = (_noun_phrase(Path(path.start, path.relations[:-1]), kind, False, rng) for path in plan.paths)
        return rng.choice(SAME_FRAMES).format(a=a, b=b, noun=end.noun)
    a, b = (_noun_phrase(path, kind, False, rng) for path in plan.paths)
    return rng.choice(DIFFERENCE_FRAMES if plan.op is Op.DIFFERENCE else SUM_FRAMES).format(a=a, b=b)


def _noun_phrase(path: Path, kind: str, composed: bool, rng: random.Random) -> str:
    """A path as a noun phrase: "the spouse of the director of X"."""
    typed = path.relations and kind != "person" and rng.random() < 0.3
    phrase = f"the {kind} {path.start}" if typed else path.start
    rest = path.relations
    while rest:
        named = next((noun for noun, pair in compounds().items() if rest[:2] == pair), "") if composed else ""
        noun = named or relations()[rest[0]].noun
        owned = phrase == path.start and rng.random() < 0.25
        phrase = f"{phrase}'s {noun}" if owned else f"the {noun} of {phrase}"
        rest = rest[2:] if named else rest[1:]
    return phrase


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
