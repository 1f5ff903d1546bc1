"""Plans from a decomposition into sub-questions, as MuSiQue annotates it.

A sub-question is a relation (``Alpha >> director``), a question in the shape of one (``Who directed Alpha?``), or an
open question (``When did the Admiral Twin open in #1?``). The first two become look-ups of that relation, the last goes
to an open tool. ``#1`` stands for the first answer. Names have to be ones that the policy can know: those of the
question, or of what was found before.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from understudy.checks.text import WORD, fold
from understudy.scoring import Rule, exact_match, normalize
from understudy.task import Hop, Task
from understudy.teachers.mentions import Known, Text, bare, is_name, same_name
from understudy.teachers.plan import Lookup, Plan, Step, Unplannable
from understudy.teachers.relations import Relation, annotated, asked, open_relation

_REFERENCE = re.compile(r"#(\d+)")
_ARTICLE = re.compile(r"^the (?=#)", re.IGNORECASE)
_LEADING = re.compile(r"^(?:in|at|on|under|from|by|near|to|during)\s+(?=\S)", re.IGNORECASE)


def plan_hops(task: Task) -> Plan | Unplannable:
    """The plan that a task's decomposition describes."""
    reader = _Reader(task.question)
    for hop in task.evidence.hops:
        lookup = reader.read(hop)
        if isinstance(lookup, Unplannable):
            return lookup
    if not reader.lookups:
        return Unplannable("no decomposition")
    last = reader.lookups[-1].found
    if not exact_match(last, task.answers, Rule.MUSIQUE):
        return Unplannable(f"the last sub-question gives {last!r}, not the answer {task.answers[0]!r}")
    return Plan(task.id, tuple(reader.lookups), Step.READ, (), last)


class _Reader:
    def __init__(self, question: str) -> None:
        self.lookups: list[Lookup] = []
        self._question = Text(question)
        self._known = Known([question])
        self._spelled = {fold(word).lower(): word for word in WORD.findall(question)}

    def read(self, hop: Hop) -> Lookup | Unplannable:
        """The look-up of one sub-question; its answer is known from then on."""
        references = tuple(dict.fromkeys(int(number) - 1 for number in _REFERENCE.findall(hop.question)))
        if any(not 0 <= index < len(self.lookups) for index in references):
            return Unplannable(f"{hop.question!r} refers to a later sub-question")
        lookup = self._relation(hop, references) or self._open(hop, references)
        if isinstance(lookup, Lookup):
            self.lookups.append(lookup)
            self._known.add(hop.answer)
        return lookup

    def _relation(self, hop: Hop, references: tuple[int, ...]) -> Lookup | None:
        readings: list[tuple[Relation, str]] = []
        if ">>" in hop.question:
            subject, _, name = hop.question.rpartition(">>")
            if relation := annotated(name):
                readings = [(relation, _tidy(subject))]
        else:
            plain = _tidy(hop.question).rstrip("?. ")
            readings = [(relation, _ARTICLE.sub("", name)) for relation, name in asked(plain) if is_name(name)]
        for relation, template in readings:
            full = self._filled(template)
            if name := self._name(relation, template, full, hop):
                others = dict.fromkeys((full, hop.title) if same_name(hop.title, full) else (full,))
                aliases = tuple(other for other in others if normalize(other) != normalize(name))
                return Lookup(relation, name, (hop.answer.strip(),), aliases=aliases, after=references)
        return None

    def _name(self, relation: Relation, template: str, full: str, hop: Hop) -> str:
        """The name in a sub-question as the policy can know it; empty when it can't."""
        for name in (full, bare(full)):
            if found := self._question.find(name):
                return found
            if not self._known.strange(name):
                return name
        # Annotators may misspell a name, add to it what nobody can know yet, or write another one.
        if respelled := self._respelled(full, sentence=False):
            return respelled
        if references := _REFERENCE.findall(template):
            # What contains the thing called after a place mostly contains the place.
            return self._value(int(references[-1]) - 1) if relation.family == "where" else ""
        if normalize(hop.title) != normalize(hop.answer) and (found := self._question.find(bare(hop.title))):
            return found
        return self._question.longest(full)

    def _open(self, hop: Hop, references: tuple[int, ...]) -> Lookup | Unplannable:
        if ">>" in hop.question:
            return Unplannable(f"the subject of {hop.question!r} is neither in the question nor found before")
        template = _tidy(hop.question).rstrip("?. ")
        text = self._respelled(self._filled(template), sentence=True)
        if text is None:
            return Unplannable(f"{hop.question!r} has names that are neither in the question nor found before")
        topic = self._value(references[0]) if references else self._question.find(hop.title)
        if normalize(topic) == normalize(hop.answer):
            topic = ""
        question = f"{text[:1].upper()}{text[1:]}?"
        return Lookup(open_relation(text), topic, (hop.answer.strip(),), question=question, after=references)

    def _filled(self, template: str) -> str:
        filled = _REFERENCE.sub(lambda match: self._value(int(match[1]) - 1), template)
        return re.sub(r"\b(the) the\b", r"\1", filled, flags=re.IGNORECASE)

    def _value(self, index: int) -> str:
        value = _LEADING.sub("", self.lookups[index].found).strip("\"“”' ")
        return value.rstrip(".") if value.count(".") == 1 else value

    def _respelled(self, text: str, sentence: bool) -> str | None:
        """The text with names and numbers as the policy knows them; None when one is unknown and nothing is close.

        In a sentence, only numbers and capitalised words after the first count as names.
        """
        for match in reversed(list(WORD.finditer(text))):
            word = match.group()
            free = sentence and not any(c.isdigit() for c in word) and (word[0].islower() or match.start() == 0)
            if free or not self._known.strange(word):
                continue
            close = get_close_matches(fold(word).lower(), self._spelled, n=1, cutoff=0.7)
            if not close or word.isdigit():
                return None
            text = f"{text[: match.start()]}{self._spelled[close[0]]}{text[match.end() :]}"
        return text


def _tidy(text: str) -> str:
    """Without the blanks that tokenisation left before punctuation."""
    return re.sub(r"\s+(?=[,.?!;:)]|['’]s\b)", "", " ".join(text.split())).replace("( ", "(")
