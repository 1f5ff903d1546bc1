r"""What better analysis of passages and queries gives: recall of supporting titles among the best five, by variant.

python benchmarks/search_analysis.py --json runs/search_analysis.json

One index per data set. We chose on the train rows and looked at the dev rows afterwards, so both are told. The first
variant is the baseline: lower-cased ``\w+``, no stop words, k1 = 1.2, b = 0.75, title and text as one.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from bm25s import BM25
from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

from search import DATA, DATASETS, K, passages_of
from understudy.metric import paired_difference
from understudy.readers.rows import read_rows
from understudy.search.ranking import CANDIDATES, STOP_WORDS, Candidate, best, words
from understudy.task import Passage

Analyse = Callable[[str], list[str]]


def analyser(*filters: Filter) -> Analyse:
    builder = TextAnalyzerBuilder(Tokenizer.simple())
    for one in filters:
        builder = builder.filter(one)
    return builder.build().analyze


PLAIN = analyser(Filter.lowercase())
STEMMED = analyser(Filter.ascii_fold(), Filter.lowercase(), Filter.stemmer("english"))


@dataclass(frozen=True)
class Variant:
    """One way to analyse, score and order."""

    analyse: Analyse = words
    stop: bool = True
    titles: int = 1
    """How often the title is put before the text."""
    title_field: float = 0.0
    """Weight of a field of its own for the title, added to the score."""
    bigrams: bool = False
    k1: float = 1.2
    b: float = 0.75
    bonus: bool = False
    """For titles that the query names, as shipped."""

    def terms(self, text: str, query: bool = False) -> list[str]:
        """What of a passage is indexed, or of a query looked for."""
        every = self.analyse(text)
        kept = ([word for word in every if word not in STOP_WORDS] or every) if query and self.stop else every
        return kept + [" ".join(pair) for pair in pairwise(kept)] if self.bigrams else kept


VARIANTS = {
    "baseline": Variant(PLAIN, stop=False),
    "accents folded": Variant(stop=False),
    "stop words left out of queries": Variant(),
    "the same, stemming": Variant(STEMMED),
    "the same, bigrams": Variant(bigrams=True),
    "the same, k1 0.9, b 0.4": Variant(k1=0.9, b=0.4),
    "the same, title twice": Variant(titles=2),
    "the same, title three times": Variant(titles=3),
    "the same, title as a field, weight 0.5": Variant(title_field=0.5),
    "the same, title as a field, weight 1": Variant(title_field=1.0),
    "title bonus (shipped)": Variant(bonus=True),
    "title bonus, stemming": Variant(STEMMED, bonus=True),
    "title bonus, k1 0.9, b 0.4": Variant(k1=0.9, b=0.4, bonus=True),
}


class Recall:
    """Shares of supporting titles found, by question."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str, float]] = []

    def add(self, dataset: str, split: str, share: float) -> None:
        """One question."""
        self._found.append((dataset, split, share))

    def shares(self, dataset: str = "", split: str = "") -> list[float]:
        """Of one data set and split; empty for all."""
        return [share for of, part, share in self._found if dataset in ("", of) and split in ("", part)]

    def mean(self, split: str) -> float:
        """Over questions, then over data sets."""
        return statistics.fmean(statistics.fmean(self.shares(name, split)) for name in DATASETS)


def index(texts: Sequence[list[str]], variant: Variant) -> Callable[[list[str]], np.ndarray]:
    bm25 = BM25(k1=variant.k1, b=variant.b)
    bm25.index(list(texts), show_progress=False)
    return lambda query: bm25.get_scores_from_ids(bm25.get_tokens_ids(query))


def searcher(passages: Sequence[Passage], variant: Variant) -> Callable[[str], list[str]]:
    """Question → titles of the best five."""
    titles = [variant.terms(passage.title) for passage in passages]
    body = index(
        [title * variant.titles + variant.terms(one.text) for title, one in zip(titles, passages, strict=True)], variant
    )
    named = index(titles, variant) if variant.title_field else None

    def search(question: str) -> list[str]:
        query = variant.terms(question, query=True)
        scores = body(query) + (variant.title_field * named(query) if named else 0)
        rows = [row for row in np.argsort(-scores, kind="stable")[:CANDIDATES].tolist() if scores[row] > 0]
        if variant.bonus:
            found = best(question, (Candidate(row, float(scores[row]), passages[row]) for row in rows), K)
            return [hit.passage.title for hit in found]
        return [passages[row].title for row in rows[:K]]

    return search


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    passages = {name: list(passages_of(name)) for name in DATASETS}
    rows = {name: [row.value for row in read_rows(DATA / f"{name}.jsonl")] for name in DATASETS}
    print(f"{'variant':40} {'train':>6} {'dev':>6} {'all':>6}  {'  '.join(DATASETS)}  gain over the baseline, 95 %")
    figures: dict[str, dict[str, object]] = {}
    baseline: list[float] = []
    for label, variant in VARIANTS.items():
        recall = Recall()
        for name in DATASETS:
            search = searcher(passages[name], variant)
            for row in rows[name]:
                if row["supporting_known"]:
                    titles = set(row["supporting"])
                    found = len(titles & set(search(row["question"])))
                    recall.add(name, row["split"], found / len(titles))
        baseline = baseline or recall.shares()
        gain = paired_difference(baseline, recall.shares())
        means = {split: recall.mean(split) for split in ("train", "dev", "")}
        each = {name: statistics.fmean(recall.shares(name)) for name in DATASETS}
        figures[label] = {
            "train": means["train"],
            "dev": means["dev"],
            "all": means[""],
            **each,
            "gain": gain.model_dump(),
        }
        shown = " ".join(f"{value:6.3f}" for value in means.values())
        by_dataset = "  ".join(f"{value:{len(name)}.3f}" for name, value in each.items())
        print(
            f"{label:40} {shown}  {by_dataset}  {gain.value:+.3f} [{gain.ci95[0]:+.3f}, {gain.ci95[1]:+.3f}]",
            flush=True,
        )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
