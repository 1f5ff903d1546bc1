"""Questions read back into plans: the whole language that the scripted teacher understands."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from understudy.lab.plans import Op, Path, Plan
from understudy.lab.questions import CHOICE_FRAMES, DIFFERENCE_FRAMES, SAME_FRAMES, SUM_FRAMES, VALUE_FRAMES
from understudy.lab.relations import ENTITY_TYPES, ORDERS, compounds, relations

_TYPE = re.compile(rf"the (?:{'|'.join(ENTITY_TYPES)}) ")


@lru_cache(maxsize=65_536)
def parse(question: str) -> Plan | None:
    """The meaning of a question in the lab's language; None for any other text."""
    text = " ".join(question.split())[:1000]
    for op, pattern in _patterns():
        if (match := pattern.fullmatch(text)) is not None:
            plan = _read(op, match.groupdict())
            if plan is not None:
                return plan
    return None


def _read(op: Op, parts: dict[str, str]) -> Plan | None:
    if op is Op.VALUE:
        composed = re.search(rf"\b(?:{'|'.join(compounds())})\b", parts["x"]) is not None
        return _plan(op, _read_phrase(parts["x"]), composed=composed)
    if op is Op.SAME:
        if parts["noun"] not in _nouns() or parts.get("noun2", parts["noun"]) != parts["noun"]:
            return None
        return _plan(op, *(_read_phrase(parts[side], (parts["noun"],)) for side in "ab"))
    if op is Op.LESS:
        if (pred := _predicate().fullmatch(parts["pred"])) is None:
            return None
        end = relations()[_nouns()[pred["noun"]][-1]]
        if pred["order"] not in (order := ORDERS.get(end.to, ())):
            return None
        nouns = (pred["bridge"], pred["noun"]) if pred["bridge"] else (pred["noun"],)
        return _plan(
            (Op.LESS, Op.MORE)[order.index(pred["order"])], *(_path(_bare(parts[side]), nouns) for side in "ab")
        )
    return _plan(op, _read_phrase(parts["a"]), _read_phrase(parts["b"]))


def _plan(op: Op, *paths: Path | None, composed: bool = False) -> Plan | None:
    whole = tuple(path for path in paths if path is not None and path.start and path.relations)
    return Plan(op, whole, composed) if len(whole) == len(paths) else None


def _path(start: str, nouns: tuple[str, ...]) -> Path:
    """The path that nouns name, the inner one first; a compound is two relations."""
    return Path(start, tuple(name for noun in nouns for name in _nouns()[noun]))


def _read_phrase(phrase: str, then: tuple[str, ...] = ()) -> Path | None:
    """Read a noun phrase from the outside inwards; the nouns ``then`` follow after what it names."""
    while (match := _outer().match(phrase)) is not None:
        then = (match["noun"], *then)
        phrase = phrase[match.end() :]
    if (match := _possessive().fullmatch(phrase)) is not None:
        phrase, then = match["owner"], (match["noun"], *then)
    start = _bare(phrase)
    return _path(start, then) if start[:1].isupper() else None


def _bare(name: str) -> str:
    """A name without "the film" before it."""
    return _TYPE.sub("", name, count=1) if _TYPE.match(name) else name


@cache
def _nouns() -> dict[str, tuple[str, ...]]:
    """What each noun stands for: one relation, or two for a compound."""
    single = {relation.noun: (relation.name,) for relation in relations().values()}
    return {**single, **compounds()}


@cache
def _noun_pattern() -> str:
    return "|".join(re.escape(noun) for noun in sorted(_nouns(), key=len, reverse=True))


@cache
def _outer() -> re.Pattern[str]:
    return re.compile(rf"the (?P<noun>{_noun_pattern()}) of ")


@cache
def _possessive() -> re.Pattern[str]:
    return re.compile(rf"(?P<owner>.+?)'s (?P<noun>{_noun_pattern()})")


@cache
def _predicate() -> re.Pattern[str]:
    """What one of two things has: the later birth year, or the director with the later birth year."""
    orders = "|".join(order for pair in ORDERS.values() for order in pair)
    noun = _noun_pattern()
    return re.compile(rf"has the (?:(?P<bridge>{noun}) with the )?(?P<order>{orders}) (?P<noun>{noun})")


@cache
def _patterns() -> tuple[tuple[Op, re.Pattern[str]], ...]:
    """Every frame as a pattern; choices are read as LESS until their predicate tells."""
    named = {"wh": "(?:[Ww]ho|[Ww]hat)", "Which": "(?:Who|Which [a-z]+)", "which": "(?:who|which [a-z]+)"}
    frames = (
        (Op.DIFFERENCE, DIFFERENCE_FRAMES), (Op.SUM, SUM_FRAMES), (Op.SAME, SAME_FRAMES), (Op.LESS, CHOICE_FRAMES),
        (Op.VALUE, VALUE_FRAMES),
    )  # fmt: skip
    patterns = []
    for op, group in frames:
        for frame in group:
            text, seen = "", set[str]()
            for literal, slot in re.findall(r"([^{]*)(?:\{(\w+)\})?", frame):
                text += re.escape(literal)
                if slot in named:
                    text += named[slot]
                elif slot:
                    text += f"(?P<{slot if slot not in seen else slot + '2'}>.+?)"
                    seen.add(slot)
            patterns.append((op, re.compile(text)))
    return tuple(patterns)
