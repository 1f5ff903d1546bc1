"""Whether a task gives its answer away: in the text of its tools, or through one call that needs nothing to be found.

Answers that the question names (comparisons) and yes or no can't leak in this sense: knowing them tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.checks.grounding import CLOSED, contract_texts
from understudy.checks.text import Seen, dates, fold, texts, words
from understudy.contract import ToolContract
from understudy.metric import Metric, proportion
from understudy.scoring import normalize
from understudy.task import Task
from understudy.trace import Source, Status, Trace


def leaking_tools(task: Task, toolset: Sequence[ToolContract]) -> list[str]:
    """Names of the tools whose text says an accepted answer."""
    answers = _telling(task)
    hints = [_hint(answer) for answer in answers]
    leaking = []
    for contract in toolset:
        told = list(contract_texts(contract))
        text = fold(" ".join(told)).lower()
        if any(hint in text for hint in hints):  # few texts get a closer look
            said = Seen()
            said.add(told)
            if any(said.says(answer) for answer in answers):
                leaking.append(contract.name)
    return leaking


def one_call_oracles(trace: Trace, task: Task, assumed_hops: int = 1, shortcut: bool = False) -> list[str]:
    """Names of look-ups that gave the answer to a question of two or more hops from nothing but the question.

    Args:
        trace: whose calls are looked at.
        task: the accepted answers.
        assumed_hops: of a task that doesn't say. Where it may be one, finding the answer by one call is how it should
            be.
        shortcut: only calls with an argument that no earlier look-up gave. Some questions name what their first hop
            asks for ("the performer of Imagine (John Lennon song)"); a trace that looked it up all the same took no
            shortcut.
    """
    if (task.hops or assumed_hops) < 2 or not (answers := _telling(task)):
        return []
    question, earlier = Seen(), Seen()
    question.add(task.question)
    oracles = []
    for call, observation in trace.calls():
        if observation.status is not Status.OK or observation.source is Source.UTILITY:
            continue
        said = Seen()
        said.add(observation.content)
        arguments = [text for value in call.arguments.values() for text in texts(value)]
        led_to = shortcut and arguments and all(earlier.says(text) for text in arguments)
        found = any(said.says(answer) for answer in answers) and all(question.says(text) for text in arguments)
        if found and not led_to:
            oracles.append(call.name)
        earlier.add(observation.content)
    return oracles


@dataclass(slots=True)
class Oracles:
    """Counts the tasks whose trace had the answer by one call from nothing but the question.

    Questions of one hop are left out. Those whose number of hops is unknown are counted: of what share of them one call
    is enough is worth knowing.
    """

    tasks: int = 0
    found: int = 0

    def add(self, trace: Trace, task: Task) -> None:
        """Count a task by its trace."""
        if task.hops != 1:
            self.tasks += 1
            self.found += bool(one_call_oracles(trace, task, assumed_hops=2))

    @property
    def share(self) -> Metric:
        """The share so far."""
        return proportion(self.found, self.tasks)


def _telling(task: Task) -> list[str]:
    question = Seen()
    question.add(task.question)
    return [
        answer
        for answer in task.answers
        if len(normal := normalize(answer)) > 1 and normal not in CLOSED and not question.says(answer)
    ]


def _hint(answer: str) -> str:
    """What every text that says the answer contains, in whatever notation: the year of a date, the longest word."""
    if found := dates(answer):
        return min(found)[:4].lstrip("0")
    return max(words(answer), key=len, default="")
