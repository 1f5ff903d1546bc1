r"""Our search beside bm25s and rank-bm25 used directly: the same passages and questions, one run, a process per engine.

python benchmarks/search.py --json runs/search.json                        # one index per data set
python benchmarks/search.py --passages 1000000 --engines disk              # one index: all of them, and variations
python benchmarks/search.py --passages 200000 --engines memory disk bm25s

Writes ``{engine: {"qps", "build_s", "rss_mib", "recall5"}}``: queries per second one at a time (median of the rounds),
seconds to build, peak resident memory of the whole process, and the share of supporting titles among the best five,
averaged over questions and then over data sets. Ours analyse better (docs/notebook/search.md); the other two get the
usual baseline: lower-cased ``\w+``, no stop words, k1 = 1.2, b = 0.75.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from understudy.readers.rows import read_rows
from understudy.search.corpus import to_passage
from understudy.search.disk import DiskIndex
from understudy.search.memory import MemoryIndex
from understudy.search.retriever import Retriever
from understudy.task import Passage

DATA = Path(__file__).parents[2] / "shared" / "data"
DATASETS = ("hotpotqa", "musique", "2wikimultihopqa")
K = 5

Search = Callable[[str], Iterable[Passage]]


def ours(retriever: Retriever) -> Search:
    runner = asyncio.Runner()
    return lambda question: [hit.passage for hit in runner.run(retriever.search([question], K))[0]]


def memory(passages: Iterable[Passage], folder: Path) -> Search:
    return ours(MemoryIndex.build(passages))


def disk(passages: Iterable[Passage], folder: Path) -> Search:
    return ours(DiskIndex.build(folder, passages))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def bm25s(passages: Iterable[Passage], folder: Path) -> Search:
    import bm25s

    kept = list(passages)
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index([words(f"{passage.title} {passage.text}") for passage in kept], show_progress=False)

    def search(question: str) -> list[Passage]:
        rows, _ = index.retrieve([words(question)], k=K, show_progress=False)
        return [kept[row] for row in rows[0]]

    return search


def rank_bm25(passages: Iterable[Passage], folder: Path) -> Search:
    from rank_bm25 import BM25Okapi

    kept = list(passages)
    index = BM25Okapi([words(f"{passage.title} {passage.text}") for passage in kept], k1=1.2, b=0.75)
    return lambda question: index.get_top_n(words(question), kept, n=K)


ENGINES = {"memory": memory, "disk": disk, "bm25s": bm25s, "rank_bm25": rank_bm25}


def passages_of(dataset: str | None) -> Iterator[Passage]:
    """Those of one data set; None for all."""
    for row in read_rows(DATA / "passages.jsonl.gz"):
        if dataset in (None, row.value["dataset"]):
            yield to_passage(row.value)


def with_variations(count: int) -> Iterator[Passage]:
    """All shared passages, then half of one and half of another under a mixed title, from a fixed seed."""
    real = list(passages_of(None))
    yield from real[:count]
    rng = random.Random(0)
    for number in range(count - len(real)):
        first, second = rng.choice(real), rng.choice(real)
        title = f"{first.title.partition(' ')[0]} {second.title.rpartition(' ')[2]} {number}"
        begin, end = first.text.split(), second.text.split()
        yield Passage(title=title, text=" ".join(begin[: len(begin) // 2] + end[len(end) // 2 :]))


def measure(engine: str, count: int | None, rounds: int) -> dict[str, float]:
    """Build, search and weigh one engine in this process."""
    questions = {name: list(supported(name)) for name in DATASETS}
    indexes: dict[str, Search] = {}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        if count is None:
            for name in DATASETS:
                indexes[name] = ENGINES[engine](passages_of(name), Path(folder) / name)
        else:
            indexes = dict.fromkeys(DATASETS, ENGINES[engine](with_variations(count), Path(folder) / "all"))
        build = time.perf_counter() - started
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            found = {name: [list(indexes[name](question)) for question, _ in questions[name]] for name in DATASETS}
            seconds.append(time.perf_counter() - started)
    recall = {name: statistics.fmean(map(share, questions[name], found[name])) for name in DATASETS}
    return {
        "qps": sum(map(len, questions.values())) / statistics.median(seconds),
        "build_s": build,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "recall5": statistics.fmean(recall.values()),
        **{f"recall5_{name}": value for name, value in recall.items()},
    }


def supported(dataset: str) -> Iterator[tuple[str, set[str]]]:
    """Questions whose supporting titles are known, with these."""
    for row in read_rows(DATA / f"{dataset}.jsonl"):
        if row.value["supporting_known"]:
            yield row.value["question"], set(row.value["supporting"])


def share(asked: tuple[str, set[str]], found: list[Passage]) -> float:
    _, titles = asked
    return len(titles & {passage.title for passage in islice(found, K)}) / len(titles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--passages", type=int, help="one index of so many passages (default: one per data set)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in the process of one engine
    args = parser.parse_args()
    if args.here:
        print(json.dumps(measure(args.engines[0], args.passages, args.rounds)))
        return
    sizes = ["--passages", str(args.passages)] if args.passages else []
    figures: dict[str, dict[str, float]] = {}
    print(f"{'engine':10} {'qps':>8} {'build s':>8} {'RSS MiB':>8} {'recall@5':>9}  qps and RSS against the first")
    for engine in args.engines:
        command = [sys.executable, __file__, "--here", "--engines", engine, "--rounds", str(args.rounds), *sizes]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 (this script)
        one = figures[engine] = json.loads(done.stdout)
        first = figures[args.engines[0]]
        ratios = f"×{one['qps'] / first['qps']:.2f} ×{one['rss_mib'] / first['rss_mib']:.2f}"
        shown = f"{one['qps']:8.0f} {one['build_s']:8.1f} {one['rss_mib']:8.0f} {one['recall5']:9.3f}"
        print(f"{engine:10} {shown}  {ratios}", flush=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
