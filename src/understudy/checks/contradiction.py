"""Statements that deny what is known: a tool against the world's facts, a policy against what it was told.

Conservative on purpose: only a value that stands for the same relation of the same subject is compared, and it
disagrees only if neither contains the other and they are not one date or number in two notations. Fields that no fact
is about, and empty or unknown values, are never contradictions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any

from understudy.checks.flaw import Flaw
from understudy.checks.text import ARTICLES, WORD, dates, fold, numbers, texts, words
from understudy.scoring import normalize
from understudy.task import Fact
from understudy.trace import Call, Observation, Source, Status, Trace, Turn

_UNKNOWN = frozenset(("", "unknown", "none", "null", "not available", "not known", "not found", "n a", "na"))
_SENTENCE = re.compile(r"[.;!?](?:\s+|$)|\n")
_FILLERS = frozenset(("get", "find", "look", "lookup", "up", "of", "for", "fetch", "search", "query"))


def contradictions(content: Any, arguments: dict[str, Any], facts: Sequence[Fact], name: str = "") -> list[str]:
    """How an observation denies facts: one line each, empty when it denies none.

    Args:
        content: the observation's content; only objects state relations, under their keys, and so do records in their
            lists that name a subject of the call.
        arguments: of the call; a fact is about the call when its subject is one of the values.
        facts: what is true.
        name: of the tool; stands for the relation where the content has one field that names none, as ``value``.
    """
    if not isinstance(content, dict):
        return []
    subjects = {normalize(text) for value in arguments.values() for text in texts(value)}
    truths: dict[tuple[str, ...], list[Fact]] = {}
    for fact in facts:
        if normalize(fact.subject) in subjects:
            truths.setdefault(_relation(fact.relation), []).append(fact)
    problems = []
    for key, value in _fields(content, subjects):
        known = truths.get(_relation(key))
        if known is None and len(content) == 1 and value is content.get(key):
            known = truths.get(_relation(name))
        # One look-up of several subjects doesn't say whose value it gives.
        if known is None or len({normalize(fact.subject) for fact in known}) > 1:
            continue
        for stated in value if isinstance(value, list) else [value]:
            if isinstance(stated, str | int | float) and not any(agree(str(stated), fact.object) for fact in known):
                first = known[0]
                problems.append(
                    f"{key}: {stated!r}"[:120] + f", but {first.relation} of {first.subject} is {first.object!r}"
                )
    return problems


def _fields(content: dict[str, Any], subjects: set[str]) -> Iterator[tuple[str, Any]]:
    """The fields of a result, and of those records in its lists that name one of the subjects."""
    yield from content.items()
    for value in content.values():
        for record in value if isinstance(value, list) else ():
            if isinstance(record, dict) and any(normalize(str(one)) in subjects for one in record.values()):
                yield from record.items()


def agree(first: str, second: str) -> bool:
    """Whether two values can be the same: one contains the other, or they are one date or number."""
    one, other = " ".join(words(first)), " ".join(words(second))
    if one in _UNKNOWN or other in _UNKNOWN or normalize(first) == normalize(second):
        return True
    if f" {one} " in f" {other} " or f" {other} " in f" {one} ":
        return True
    if dates(first) and dates(second):
        return bool(dates(first) & dates(second))
    return bool(numbers(first)) and numbers(first) == numbers(second)


def misstatements(trace: Trace) -> list[Flaw]:
    """Where the policy restates what a tool told it before with another value.

    Two forms are understood, "the director of X is Y" and "X's director is Y", with a name, date or number as Y; all
    other statements pass.
    """
    told: dict[tuple[str, str], list[str]] = {}
    problems = []
    for index, step in enumerate(trace.steps):
        if not isinstance(step.turn, Turn):
            continue
        sentences = _SENTENCE.split(f"{step.turn.thought}\n{step.turn.answer or ''}") if told else []
        for sentence in sentences:
            if " is " not in sentence and " was " not in sentence:
                continue
            for (subject, relation), objects in told.items():
                claim = _claim(sentence, subject, relation)
                if claim and not any(agree(claim, known) for known in objects):
                    what = f"says {sentence.strip()[:120]!r}, was told {objects[0][:80]!r}"
                    problems.append(Flaw(turn=index, what=what))
        for call, observation in zip(step.turn.calls, step.observations, strict=False):
            for subject, relation, value in _told(call, observation):
                told.setdefault((subject, relation), []).append(value)
    return problems


def _told(call: Call, observation: Observation) -> Iterator[tuple[str, str, str]]:
    """(subject, relation, value) of each field of a look-up about one subject; names in lower-case words."""
    subjects = list(texts(list(call.arguments.values())))
    content = observation.content
    if observation.status is not Status.OK or observation.source is Source.UTILITY or len(subjects) != 1:
        return
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield " ".join(words(subjects[0])), " ".join(words(key)), str(value)


def _claim(sentence: str, subject: str, relation: str) -> str:
    """The name, date or number that a sentence says ``relation`` of ``subject`` is; empty when it says none."""
    said = [word for word in WORD.findall(fold(sentence)) if word.lower() not in ARTICLES]
    line = f" {' '.join(said).lower()} "
    for form in (f" {relation} of {subject} ", f" {subject} {relation} "):
        before, found, _ = line.partition(form)
        position = len(before.split()) + len(form.split())
        verb, value = said[position : position + 1], said[position + 1 :]
        conditional = before.split()[-1:] in (["if"], ["whether"])
        if found and not conditional and verb in (["is"], ["was"]) and value and not value[0][0].islower():
            return " ".join(takewhile(lambda word: not word[0].islower(), value))
    return ""


def _relation(text: str) -> tuple[str, ...]:
    """A relation, key or tool name as its words: ``place_of_birth``, ``getPlaceOfBirth`` and "place of birth" agree."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return tuple(word for word in words(spaced) if word not in _FILLERS)


def all_contradictions(trace: Trace, facts: Iterable[Fact]) -> list[str]:
    """Contradictions of all simulated look-ups of a trace: the simulator's fault, never the policy's.

    A live tool is its own truth, and a utility has no facts to deny.
    """
    known = tuple(facts)
    return [
        problem
        for call, observation in trace.calls()
        if observation.status is Status.OK and observation.source in (Source.SIMULATED, Source.RECORDED)
        for problem in contradictions(observation.content, call.arguments, known, call.name)
    ]
