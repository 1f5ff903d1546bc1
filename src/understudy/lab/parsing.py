"""Questions read back into plans: the whole language that the scripted teacher understands."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from understudy.lab.plans import Op, Path, Plan
from understudy.lab.questions import CHOICE_FRAMES, DIFFERENCE_FRAMES, SAME_FRAMES, SUM_FRAMES, VALUE_FRAMES
from understudy.lab.relations import ENTITY_TYPES, compounds, relations

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
        steps = _nouns().get(parts["noun"])
        if steps is None or parts.get("noun2", parts["noun"]) != parts["noun"]:
            return None
        return _plan(op, *(_read_phrase(parts[side], steps) for side in "ab"))
    if op is Op.LESS:
        steps, pred = (), parts["pred"]
        if (bridged := re.fullmatch(rf"has the ({_noun_pattern()}) (?:who|that) (.+)", pred)) is not None:
            steps, pred = _nouns()[bridged[1]], bridged[2]
        if pred not in _predicates():
            return None
        op, relation = _predicates()[pred]
        return _plan(op, *(Path(_bare(parts[side]), (*steps, relation)) for side in "ab"))
    return _plan(op, _read_phrase(parts["a"]), _read_phrase(parts["b"]))


def _plan(op: Op, *paths: Path | None, composed: bool = False) -> Plan | None:
    whole = tuple(path for path in paths if path is not None and path.start and path.relations)
    return Plan(op, whole, composed) if len(whole) == len(paths) else None


def _read_phrase(phrase: str, then: tuple[str, ...] = ()) -> Path | None:
    """Read a noun phrase from the outside inwards; ``then`` follows after what it names."""
    while (match := _outer().match(phrase)) is not None:
        then = (*(_nouns()[match["noun"]] if match["noun"] else _clauses()[match["clause"]]), *then)
        phrase = phrase[match.end() :]
    for before, after, name in _wrapped():
        if phrase.startswith(before) and phrase.endswith(after):
            return _read_phrase(phrase[len(before) : len(phrase) - len(after)], (name, *then))
    if (match := _possessive().fullmatch(phrase)) is not None:
        phrase, then = match["owner"], (*_nouns()[match["noun"]], *then)
    start = _bare(phrase)
    return Path(start, then) if start[:1].isupper() else None


def _bare(name: str) -> str:
    """A name without "the film" before it."""
    return _TYPE.sub("", name, count=1) if _TYPE.match(name) else name


@cache
def _nouns() -> dict[str, tuple[str, ...]]:
    """What each noun stands for: one relation, or two for a compound."""
    single = {noun: (relation.name,) for relation in relations().values() for noun in relation.nouns}
    return {**single, **compounds()}


@cache
def _noun_pattern() -> str:
    return "|".join(re.escape(noun) for noun in sorted(_nouns(), key=len, reverse=True))


@cache
def _clauses() -> dict[str, tuple[str, ...]]:
    """Clauses that end in what they speak of."""
    rows = [(relation.clause, relation.name) for relation in relations().values() if relation.clause.endswith("{x}")]
    return {clause.removesuffix("{x}"): (name,) for clause, name in rows}


@cache
def _wrapped() -> tuple[tuple[str, str, str], ...]:
    """Clauses with words after what they speak of: before, after, relation."""
    rows = [r for r in relations().values() if r.clause and not r.clause.endswith("{x}")]
    return tuple((*row.clause.partition("{x}")[::2], row.name) for row in rows)


@cache
def _outer() -> re.Pattern[str]:
    clauses = "|".join(re.escape(clause) for clause in sorted(_clauses(), key=len, reverse=True))
    return re.compile(rf"the (?P<noun>{_noun_pattern()}) of |(?P<clause>{clauses})")


@cache
def _possessive() -> re.Pattern[str]:
    return re.compile(rf"(?P<owner>.+?)'s (?P<noun>{_noun_pattern()})")


@cache
def _predicates() -> dict[str, tuple[Op, str]]:
    """Which comparison each predicate asks for."""
    found = {}
    for relation in relations().values():
        if relation.less:
            found[relation.less] = (Op.LESS, relation.name)
            found[relation.more] = (Op.MORE, relation.name)
    return found


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
