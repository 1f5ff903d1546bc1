"""How passages are found and ordered: the same in memory and on disk.

BM25 (Robertson and Zaragoza 2009, doi:10.1561/1500000019; k1 = 1.2, b = 0.75) over the words of title and text gives
candidates. Each candidate's score is then multiplied by 1 + c², where c is the share of the title's words that the
query names: whoever writes out a title most likely means that page. Measured in docs/notebook/search.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

from understudy.search.retriever import Hit
from understudy.task import Passage

K1, B = 1.2, 0.75
CANDIDATES = 50
"""Passages that are looked at for each query; 100 or 200 find no more."""

# Of queries only, and only where other words remain: "The Who" can be found.
STOP_WORDS = frozenset(
    """a an and are as at be but by for if in into is it no not of on or such that the their then there these they this
    to was will with what which who whom whose when where how why did does do were has have had""".split()  # noqa: SIM905 (a list would take fifty lines)
)
_QUALIFIER = re.compile(r"\s*\([^()]*\)\s*$")

ANALYZER = TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.ascii_fold()).filter(Filter.lowercase()).build()
"""Runs of letters and digits, without accents, in lower case. Stemming finds no more on these benchmarks."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that has words of the query, and its BM25 score. ``row`` is its place among the passages."""

    row: int
    score: float
    passage: Passage


def searchable(passage: Passage) -> str:
    """The text of a passage that is indexed."""
    return f"{passage.title} {passage.text}"


def words(text: str) -> list[str]:
    """The words of a text, as they are indexed."""
    return ANALYZER.analyze(text)


def query_words(text: str) -> list[str]:
    """The words to look for: those that tell something, or all where none does."""
    every = words(text)
    return [word for word in every if word not in STOP_WORDS] or every


def best(query: str, candidates: Iterable[Candidate], k: int) -> list[Hit]:
    """The ``k`` best candidates; of equals, the one that was indexed first."""
    named = set(words(query))
    ranked = sorted((-one.score * _title_bonus(one.passage.title, named), one.row, one.passage) for one in candidates)
    return [Hit(passage=passage, score=-negative) for negative, _, passage in ranked[:k]]


def _title_bonus(title: str, named: set[str]) -> float:
    wanted = _title_words(title)
    return 1 + (len(wanted & named) / len(wanted)) ** 2 if wanted else 1.0


@lru_cache(maxsize=1 << 16)
def _title_words(title: str) -> frozenset[str]:
    """Without what sets pages of one name apart: "Ali (film)" is named by "Ali"."""
    return frozenset(query_words(_QUALIFIER.sub("", title)))
