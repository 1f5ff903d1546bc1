"""Plans from triples (subject, relation, object), as 2WikiMultiHopQA annotates them.

The question names the first subjects, in a spelling of its own; a later subject is what an earlier look-up gave, though
annotators may have written it differently. Both are linked here, by name first and by elimination where names differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from understudy.checks.text import words
from understudy.scoring import exact_match, normalize
from understudy.task import Kind, Task
from understudy.teachers.comparison import chosen, same, wanted
from understudy.teachers.mentions import Text, bare, same_name
from understudy.teachers.plan import Lookup, Option, Plan, Step, Unplannable
from understudy.teachers.relations import annotated


def plan_triples(task: Task) -> Plan | Unplannable:
    """The plan that a task's facts describe."""
    linker = _Linker(task)
    for (subject, relation_name), objects in _groups(task).items():
        relation = annotated(relation_name)
        if relation is None:
            return Unplannable(f"the relation {relation_name!r} has no name")
        link = linker.link(subject)
        if link is None:
            return Unplannable(f"{subject!r} is neither in the question nor found before")
        name, aliases, after = link
        linker.lookups.append(Lookup(relation, name, objects, aliases=aliases, after=after))
    return _conclude(task, tuple(linker.lookups))


def _groups(task: Task) -> dict[tuple[str, str], tuple[str, ...]]:
    """Objects by subject and relation, in the order of the annotation."""
    groups: dict[tuple[str, str], tuple[str, ...]] = {}
    for fact in task.evidence.facts:
        key = fact.subject, fact.relation
        known = groups.get(key, ())
        groups[key] = known if fact.object in known else (*known, fact.object)
    return groups


@dataclass
class _Linker:
    task: Task
    lookups: list[Lookup] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._question = Text(self.task.question)
        titles = (passage.title for passage in self.task.evidence.passages if passage.supporting)
        self._titles = [title for title in dict.fromkeys(titles) if self._question.find(title)]
        self._roots: dict[str, str] = {}  # subject → its name in the question
        self._unused: list[tuple[int, str]] = []  # results that no look-up has taken up, with their look-up

    def link(self, subject: str) -> tuple[str, tuple[str, ...], tuple[int, ...]] | None:
        """The name under which the policy knows a subject, its aliases, and the look-ups that gave it."""
        self._unused = [
            (index, value)
            for index, lookup in enumerate(self.lookups)
            for value in lookup.objects
            if not any(index in later.after and later.subject == value for later in self.lookups)
        ]
        found = self._found(subject)
        if found:
            name = found[0][1]
            return name, self._aliases(subject, name), tuple(index for index, _ in found)
        if root := self._root(subject):
            self._roots[subject] = root
            return root, self._aliases(subject, root), ()
        return None

    def _found(self, subject: str) -> list[tuple[int, str]]:
        earlier = [(index, value) for index, lookup in enumerate(self.lookups) for value in lookup.objects]
        if exact := [(index, value) for index, value in earlier if same_name(value, subject)]:
            return exact
        if not earlier or self._is_root(subject):
            return []
        # Annotators spell a name in their own way: the result that shares most words is meant, or the only one left.
        shared = [len(set(words(value)) & set(words(subject))) for _, value in self._unused]
        best = max(shared, default=0)
        if shared.count(best) == 1 and (best or len(shared) == 1):
            return [self._unused[shared.index(best)]]
        return []

    def _is_root(self, subject: str) -> bool:
        if self.task.kind is Kind.COMPOSITIONAL:  # one chain: only its start is in the question
            return subject in self._roots
        return subject in self._roots or bool(self._direct(subject))

    def _direct(self, subject: str) -> str:
        titles = [title for title in self._titles if same_name(title, subject)]
        spellings = [self._question.find(name) for name in (*titles, subject, bare(subject))]
        return max(spellings, key=len)

    def _root(self, subject: str) -> str:
        if subject in self._roots:
            return self._roots[subject]
        if direct := self._direct(subject):
            return direct
        left = [self._question.find(title) for title in self._titles]
        left = [name for name in left if name not in self._roots.values()]
        return left[0] if len(left) == 1 else ""

    def _aliases(self, subject: str, name: str) -> tuple[str, ...]:
        known = {normalize(name)}
        aliases = []
        for other in (subject, bare(subject), bare(name)):
            if normalize(other) not in known:
                known.add(normalize(other))
                aliases.append(other)
        return tuple(aliases)


def _conclude(task: Task, lookups: tuple[Lookup, ...]) -> Plan | Unplannable:
    answer = task.answers[0]
    if not lookups:
        return Unplannable("no triples")
    needed = {index for lookup in lookups for index in lookup.after}
    leaves = [index for index in range(len(lookups)) if index not in needed]
    options = _options(lookups, leaves)
    if normalize(answer) in ("yes", "no"):
        return _same_or_not(task, lookups, options)
    sides = [index for index, names in enumerate(_names(lookups, options)) if any(same_name(answer, n) for n in names)]
    if len(options) > 1 and sides:
        return _ordered(task, lookups, options, sides)
    if any(exact_match(value, (answer,)) for index in leaves for value in lookups[index].objects):
        return Plan(task.id, lookups, Step.READ, (), answer)
    return Unplannable(f"the triples don't lead to the answer {answer!r}")


def _options(lookups: tuple[Lookup, ...], leaves: list[int]) -> tuple[Option, ...]:
    """The last results, by the name in the question from which they were reached."""
    values: dict[str, list[int]] = {}
    for leaf in leaves:
        for root in dict.fromkeys(_roots(lookups, leaf)):
            values.setdefault(root, []).append(leaf)
    return tuple(Option(name, tuple(found)) for name, found in values.items())


def _roots(lookups: tuple[Lookup, ...], index: int) -> list[str]:
    if not lookups[index].after:
        return [lookups[index].subject]
    return [root for earlier in lookups[index].after for root in _roots(lookups, earlier)]


def _names(lookups: tuple[Lookup, ...], options: tuple[Option, ...]) -> list[list[str]]:
    """For each option, what an answer may call it: the name in the question, or what was found on the way."""
    return [
        [option.name, *(name for value in option.values for name in (lookups[value].subject, *lookups[value].aliases))]
        for option in options
    ]


def _same_or_not(task: Task, lookups: tuple[Lookup, ...], options: tuple[Option, ...]) -> Plan | Unplannable:
    if len(options) != 2:
        return Unplannable(f"a yes-or-no question about {len(options)} things")
    first, second = ([value for index in option.values for value in lookups[index].objects] for option in options)
    alike = any(same(one, other) for one in first for other in second)
    asks_same = not any(word in task.question.lower().split() for word in ("different", "differ"))
    if (normalize(task.answers[0]) == "yes") != (alike == asks_same):
        return Unplannable(f"{'; '.join(first)!r} and {'; '.join(second)!r} don't support {task.answers[0]!r}")
    return Plan(task.id, lookups, Step.SAME if alike else Step.DIFFERENT, options, task.answers[0])


def _ordered(
    task: Task, lookups: tuple[Lookup, ...], options: tuple[Option, ...], sides: list[int]
) -> Plan | Unplannable:
    step = wanted(task.question, [option.name for option in options])
    if step is None:
        return Unplannable("the question names no order")
    values = [[lookups[index].found for index in option.values] for option in options]
    if chosen(step, values) not in sides:
        found = " and ".join("; ".join(side) for side in values)
        return Unplannable(f"{found} don't make {task.answers[0]!r} the {step}")
    return Plan(task.id, lookups, step, options, task.answers[0])
