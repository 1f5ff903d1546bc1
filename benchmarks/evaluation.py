"""How much of the ideal rate an evaluation keeps: a policy that takes a second for each question, many at once.

    python benchmarks/evaluation.py --json evaluation.json

What is measured is a whole ``evaluate``: 1,000 rollouts of two turns and one search, scoring, a record with its trace
on disk for each, and the result. Ideal is a run that does nothing but wait: 1,000 questions, 128 at a time, take eight
rounds of a second.
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
from understudy.trace import Observation, Tokens


class Slow:
    """Searches once and answers, and takes its time for both turns together."""

    def __init__(self, seconds: float) -> None:
        self.name, self._seconds = f"slow:{seconds:g}", seconds

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> Session:
        """Start a rollout."""
        return _Session(_play(task), self._seconds / 2)


class _Session:
    def __init__(self, play: Play, seconds: float) -> None:
        self._played, self._seconds = Played(play), seconds

    async def step(self, observations: Sequence[Observation]) -> Sample:
        await asyncio.sleep(self._seconds)
        return await self._played.step(observations)

    def tokens(self) -> Tokens | None:
        return None

    def close(self) -> None:
        pass


def _play(task: Task) -> Play:
    yield searching(0, "I search for it.", [task.question])
    yield answering(task.answers[0])


async def measure(questions: int, concurrency: int, seconds: float, folder: Path) -> tuple[float, float]:
    """Seconds that an evaluation takes, and seconds of the processor in it."""
    tasks = [
        Task(id=f"q{n:05}", question=f"Where is place {n}?", answers=(f"Land {n}",), source="hotpotqa")
        for n in range(questions)
    ]
    passages = (Passage(title=f"Place {n}", text=f"Place {n} is in Land {n}.") for n in range(questions))
    tools = SearchTools(MemoryIndex.build(passages))
    started, busy = time.perf_counter(), time.process_time()
    result = await evaluate(
        tasks, {task.id: (SEARCH,) for task in tasks}, None, Slow(seconds), tools, Limits(), concurrency=concurrency,
        records=folder / "records.jsonl",
    )  # fmt: skip
    took, cpu = time.perf_counter() - started, time.process_time() - busy
    assert result.em.value == 1, result.stops
    return took, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=1.0, help="of the policy, per question")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        took, cpu = asyncio.run(measure(given.questions, given.concurrency, given.seconds, Path(folder)))
    ideal = given.questions / (math.ceil(given.questions / given.concurrency) * given.seconds)
    rate = given.questions / took
    figures = {
        "questions": given.questions,
        "concurrency": given.concurrency,
        "policy_seconds": given.seconds,
        "seconds": took,
        "rate": rate,
        "ideal_rate": ideal,
        "share": rate / ideal,
        "cpu_seconds": cpu,
    }
    print(f"{rate:.1f} questions/s of {ideal:.1f} ideal: {rate / ideal:.1%}; {cpu:.2f} s of the processor")
    if given.json:
        write_json(given.json, figures)


if __name__ == "__main__":
    main()
