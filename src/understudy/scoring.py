"""Official answer scoring: Exact Match and F1 as the benchmarks' own scripts compute them.

All four share one normaliser (first in SQuAD v1.1's script): lower-case, delete ASCII punctuation, drop the articles,
collapse white space. They differ in F1: HotpotQA, 2WikiMultiHopQA and FlashRAG (by which Bamboogle is scored) give 0
when either side is yes/no/noanswer and the two differ; MuSiQue has no such rule and gives 1 to two empty strings.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLOSED = ("yes", "no", "noanswer")


class Rule(StrEnum):
    """Whose script scores."""

    HOTPOTQA = "hotpotqa"
    MUSIQUE = "musique"
    WIKI2 = "2wikimultihopqa"
    BAMBOOGLE = "bamboogle"


def normalize(text: str) -> str:
    """The normal form on which answers are compared."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Sequence[str], rule: Rule = Rule.WIKI2) -> bool:
    """Whether the normalised prediction equals a normalised answer (HotpotQA: the first answer only)."""
    normal = normalize(prediction)
    return any(normal == normalize(answer) for answer in _accepted(answers, rule))


def f1(prediction: str, answers: Sequence[str], rule: Rule = Rule.WIKI2) -> float:
    """Token F1 in [0, 1], the maximum over accepted answers (HotpotQA: the first answer only)."""
    return max((_f1(prediction, answer, rule) for answer in _accepted(answers, rule)), default=0.0)


def _accepted(answers: Sequence[str], rule: Rule) -> Sequence[str]:
    return answers[:1] if rule is Rule.HOTPOTQA else answers


def _f1(prediction: str, answer: str, rule: Rule) -> float:
    predicted, gold = normalize(prediction), normalize(answer)
    if rule is not Rule.MUSIQUE and predicted != gold and (predicted in _CLOSED or gold in _CLOSED):
        return 0.0
    predicted_tokens, gold_tokens = predicted.split(), gold.split()
    if rule is Rule.MUSIQUE and not (predicted_tokens and gold_tokens):
        return float(predicted_tokens == gold_tokens)
    same = sum((Counter(predicted_tokens) & Counter(gold_tokens)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(predicted_tokens), same / len(gold_tokens)
    return 2 * precision * recall / (precision + recall)
