"""Whether the answer is right, by the official scripts: ``EM + share · (1 − EM) · F1``.

The F1 part gives a gradient between wrong answers, as in ZeroSearch and ReSearch; EM alone made answers long.
"""

from __future__ import annotations

from understudy.checks.flaw import Flaw
from understudy.reward.term import Term, unanswered
from understudy.scoring import Rule, exact_match, f1
from understudy.task import Task
from understudy.trace import Trace


def rule_of(task: Task) -> Rule:
    """Whose script scores a task: that of the set it comes from, 2WikiMultiHopQA's for questions of other origin."""
    return Rule(task.source) if task.source in set(Rule) else Rule.WIKI2


def correctness(trace: Trace, task: Task, partial: float) -> Term:
    """1 for an exact match, else ``partial · F1``; 0 without an answer.

    Args:
        trace: whose answer is scored.
        task: its accepted answers.
        partial: share of F1, in [0, 0.5].
    """
    if trace.answer is None:
        return Term(0.0, (unanswered(trace),))
    rule = rule_of(task)
    if exact_match(trace.answer, task.answers, rule):
        return Term(1.0)
    wrong = f"{trace.answer[:80]!r}; accepted: {', '.join(map(repr, task.answers))}"
    return Term(partial * f1(trace.answer, task.answers, rule), (Flaw(turn=len(trace.steps) - 1, what=wrong),))
