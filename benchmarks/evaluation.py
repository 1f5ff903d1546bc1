"""How much of the ideal rate an evaluation keeps: a policy that takes a second for each question, many at once.

    python benchmarks/evaluation.py --json evaluation.json

What is measured is a whole ``evaluate``: 1,000 rollouts, scoring, a record with its trace on disk for each, and the
result; once with a policy that answers after a second, once with one that makes a search in its second. Ideal is a run
that does nothing but wait: 1,000 questions, 128 at a time, take eight rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from understudy.contract import ToolContract
from understudy.evaluation.runner import evaluate
from understudy.jsonl import write_json
from understudy.protocols import Sample, Session
from understudy.rollout import Limits
from understudy.search.memory import MemoryIndex
from understudy.search.tools import SEARCH, SearchTools
from understudy.task import Passage, Task
from understudy.teachers.played import Play, Played, answering, searching
from understudy.trace import Observation


class Slow:
    """Takes its time for a question, over all turns together: it answers, after a search where it is told to."""

    def __init__(self, seconds: float, searches: bool) -> None:
        self.name, self._pause, self._searches = f"slow:{seconds:g}", seconds / (1 + searches), searches

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> Session:
        """Start a rollout."""
        return _Session(self._play(task), self._pause)

    def _play(self, task: Task) -> Play:
        if self._searches:
            yield searching(0, "I search for it.", [task.question])
        yield answering(task.answers[0])


class _Session(Played):
    def __init__(self, play: Play, pause: float) -> None:
        super().__init__(play)
        self._pause = pause

    async def step(self, observations: Sequence[Observation]) -> Sample:
        await asyncio.sleep(self._pause)
        return await super().step(observations)


async def measure(given: argparse.Namespace, searches: bool, folder: Path) -> dict[str, float]:
    """How long an evaluation takes, and how much of the ideal rate that is."""
    tasks = [
        Task(id=f"q{n:05}", question=f"Where is place {n}?", answers=(f"Land {n}",), source="hotpotqa")
        for n in range(given.questions)
    ]
    tools = SearchTools(MemoryIndex.build(Passage(title=f"Place {n}", text=f"In Land {n}.") for n in range(len(tasks))))
    started, busy = time.perf_counter(), time.process_time()
    result = await evaluate(
        tasks, {task.id: (SEARCH,) for task in tasks}, None, Slow(given.seconds, searches), tools, Limits(),
        concurrency=given.concurrency, records=folder / "records.jsonl",
    )  # fmt: skip
    seconds = time.perf_counter() - started
    assert (result.em.value, result.calls.value) == (1, searches), result.stops
    ideal = math.ceil(len(tasks) / given.concurrency) * given.seconds
    return {
        "seconds": seconds,
        "rate": len(tasks) / seconds,
        "ideal_rate": len(tasks) / ideal,
        "share": ideal / seconds,
        "cpu_seconds": time.process_time() - busy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=1.0, help="of the policy, per question")
    given = parser.parse_args()
    figures = {}
    for name, searches in (("answers", False), ("searches and answers", True)):
        with TemporaryDirectory() as folder:
            measured = figures[name] = asyncio.run(measure(given, searches, Path(folder)))
        rates = f"{measured['rate']:.1f} questions/s of {measured['ideal_rate']:.1f} ideal, {measured['share']:.1%}"
        print(f"{name}: {rates}; {measured['cpu_seconds']:.2f} s of the processor")
    if given.json:
        write_json(given.json, {"questions": given.questions, "concurrency": given.concurrency, **figures})


if __name__ == "__main__":
    main()
