"""Where arguments and answers come from: the question, or what a tool said before.

An argument is grounded when the question or an *earlier* successful observation says it, word for word up to
``scoring.normalize``. Longer values are taken apart: every date, number and name in them has to be known (so that an
expression is grounded by its operands, a search query by the names in it), while the tool's own vocabulary is free.

The answer is grounded when an observation says it, or when it follows from operands that observations gave: yes and no
need a look-up about something that the question names; a thing that the question names needs a look-up about itself;
both need a second operand where two things are compared. A number may be the sum or difference of two observed ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from understudy.checks.flaw import Flaw
from understudy.checks.text import ARTICLES, WORD, Seen, dates, fold, numbers, texts, without_dates, words
from understudy.contract import ToolContract
from understudy.scoring import normalize
from understudy.trace import Call, Observation, Source, Status, Trace, Turn

CLOSED = frozenset(("yes", "no", "noanswer"))
# Numbers that a policy may bring along: small counts and limits, constants of time and percentages.
FREE_NUMBERS = frozenset((*range(11), 12, 24, 60, 100, 365, 1000))
MAX_OPERANDS = 64
_STOP_WORDS = ARTICLES | frozenset(
    ("of", "in", "on", "and", "or", "for", "to", "by", "with", "at", "from", "is", "was", "were", "are", "did", "does")
)
_COMPARING = ("both", "same", "or", "than", "between")


@dataclass(frozen=True, slots=True)
class Grounding:
    """What is ungrounded in a trace.

    Attributes:
        ungrounded: one flaw per argument value that nothing before its call gave.
        answer: whether the final answer is grounded; False when there is none.
        looked_up: whether any look-up (not a utility) was answered.
    """

    ungrounded: tuple[Flaw, ...]
    answer: bool
    looked_up: bool


def grounding(trace: Trace) -> Grounding:
    """Check every call and the answer of a trace. Calls that were refused as invalid never ran and are passed over."""
    tools = {contract.name: contract for contract in trace.toolset}
    question, known, observed = Seen(), Seen(), Seen()
    question.add(trace.question)
    known.add(trace.question)
    ungrounded: list[Flaw] = []
    lookups: list[tuple[Call, Observation]] = []
    for index, step in enumerate(trace.steps):
        if not isinstance(step.turn, Turn):
            continue
        answered = []
        for call, observation in zip(step.turn.calls, step.observations, strict=False):
            if observation.status is Status.INVALID_CALL:
                continue
            utility = observation.source is Source.UTILITY
            problems = [
                Flaw(turn=index, what=f"{call.name}.{name}: {text[:80]!r}")
                for name, value in call.arguments.items()
                for text in texts(value)
                if not (known.says(text) or _follows(text, known, tools.get(call.name), strict=not utility))
            ]
            ungrounded += problems
            # A utility hands back what it is given: fed with inventions or constants alone, its result is one too.
            if observation.status is Status.OK and not (utility and (problems or not _uses(call, known))):
                answered.append(observation)
                if not utility:
                    lookups.append((call, observation))
        for observation in answered:  # calls of one turn are made at once: none grounds another
            known.add(observation.content)
            observed.add(observation.content)
    answer = trace.answer is not None and _answer_grounded(trace.answer, question, observed, lookups)
    return Grounding(tuple(ungrounded), answer, bool(lookups))


def _uses(call: Call, known: Seen) -> bool:
    """Whether a call takes up anything that is known."""
    return any(
        not known.numbers.isdisjoint(numbers(text)) or any(map(known.knows, set(words(text)) - _STOP_WORDS))
        for text in texts(list(call.arguments.values()))
    )


def _follows(text: str, known: Seen, contract: ToolContract | None = None, strict: bool = True) -> bool:
    """Whether every value in ``text`` is known, though not in this order."""
    for date in dates(text):
        year = float(date[:4])
        if date not in known.dates and not (date.endswith("-01-01") and year in known.numbers):
            return False
    rest = without_dates(fold(text))
    if any(number not in FREE_NUMBERS and number not in known.numbers for number in numbers(rest)):
        return False
    names: list[str] = []
    common: list[str] = []
    found = WORD.findall(rest)
    for index, word in enumerate(found):
        if word.isdigit():
            continue
        opens_phrase = index == 0 and found[1:2] != [] and found[1][0].islower()
        special = (word[0].isupper() and not opens_phrase) or any(c.isdigit() for c in word)
        (names if special else common).append(word.lower())
    strange = {word for word in (*names, *common) if word not in _STOP_WORDS and not known.knows(word)}
    if strange and contract:
        strange -= set(contract_words(contract))
    if not strange.isdisjoint(names):
        return False
    telling = [word for word in common if word not in _STOP_WORDS]
    return bool(names) or not strict or 2 * sum(word in strange for word in telling) <= len(telling)


def contract_texts(contract: ToolContract) -> Iterator[str]:
    """What a contract says in words: its name, its descriptions, property names and the values that it names."""
    yield contract.name.replace("_", " ")
    yield contract.description
    stack: list[Any] = [contract.parameters, contract.returns]
    while stack:
        schema = stack.pop()
        if isinstance(schema, list | tuple):
            stack.extend(schema)
        elif isinstance(schema, dict):
            for key, value in schema.items():
                if key in ("description", "title", "enum", "const", "default", "examples"):
                    yield from texts(value)
                elif key == "properties" and isinstance(value, dict):
                    yield from (name.replace("_", " ") for name in value)
                    stack.extend(value.values())
                else:
                    stack.append(value)


def contract_words(contract: ToolContract) -> Iterator[str]:
    """The vocabulary of a contract, folded and lower-cased."""
    for text in contract_texts(contract):
        yield from words(text)


def _answer_grounded(answer: str, question: Seen, observed: Seen, lookups: list[tuple[Call, Observation]]) -> bool:
    if normalize(answer) in CLOSED:
        arguments = [text for call, _ in lookups for text in texts(list(call.arguments.values()))]
        about = any(question.says(text) or _follows(text, question) for text in arguments)
        return about and (_operands(lookups) > 1 or not any(map(question.knows, _COMPARING)))
    if question.says(answer):
        seen = Seen()
        for call, observation in lookups:
            seen.add([list(call.arguments.values()), observation.content])
        return seen.says(answer) and _operands(lookups) > 1
    return observed.says(answer) or _derived(answer, observed) or _assembled(answer, observed)


def _operands(lookups: list[tuple[Call, Observation]]) -> int:
    """How many things were looked up: one by each call, unless it takes or gives several at once.

    A call that was made before in other words, or says a thing twice, counts once; a number limits a look-up.
    """
    things: dict[tuple[str, frozenset[str]], int] = {}
    for call, observation in lookups:
        said = (normalize(text) for text in texts(list(call.arguments.values())))
        asked = frozenset(text for text in said if not text.isdecimal())
        given = (len(value) for value in _values(observation.content) if isinstance(value, list))
        things[call.name, asked] = max(len(asked), *given, 1)
    return sum(things.values())


def _values(content: Any) -> list[Any]:
    return list(content.values()) if isinstance(content, dict) else [content]


def _assembled(answer: str, observed: Seen) -> bool:
    """Whether every word and number of a longer answer was observed, though not in one place."""
    said = [word for word in words(answer) if word not in _STOP_WORDS]
    return len(said) > 1 and all(map(observed.knows, said))


def _derived(answer: str, observed: Seen) -> bool:
    found = numbers(answer)
    if len(found) != 1:
        return False
    value = found.pop()
    operands = sorted(observed.numbers)[:MAX_OPERANDS]
    for index, low in enumerate(operands):
        for high in operands[index:]:
            # Between two years, the birthday may not have come yet.
            if value in (low + high, high - low) or (low >= 1000 and value == high - low - 1):
                return True
    return False
