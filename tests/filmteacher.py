"""A teacher without a model, whose tasks meet every outcome. Run as a program, it synthesises into a folder.

Tasks ask when the director of a film was born. The number of the task decides what happens: most are kept, some are
answered wrongly, fail to be prepared, meet a broken simulator or ask what was asked before.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from handmade import TOOLSET
from understudy.errors import ModelError, SimulatorError
from understudy.protocols import Sample
from understudy.seed import derive_seed
from understudy.synthesis.pipeline import FREE_KEYS, SynthesisSettings, synthesise
from understudy.synthesis.store import RunFolder
from understudy.task import Fact, Task
from understudy.trace import Call, Observation, Source, Turn
from understudy.world import FactsFrom, World


def film_tasks(count: int) -> Iterator[Task]:
    for number in range(count):
        film = number - 1 if number % 10 == 7 else number
        yield Task(
            id=f"task-{number:05}",
            question=f"When was the director of Film {film} born?",
            answers=(f"{1 + number % 28} March {1900 + number % 90}",),
            hops=2,
        )


class Session:
    def __init__(self, task: Task, jitter: random.Random | None) -> None:
        self.task, self.jitter, self.told = task, jitter, 0
        self.number = int(task.id[-5:])

    async def step(self, observations):
        await asyncio.sleep(self.jitter.random() * 0.003 if self.jitter else 0)
        self.told += 1
        if self.told == 1:
            arguments = {"film": f"Film {self.number}"}
            return Sample(
                Turn(thought="First the director.", calls=(Call(id="a", name="get_director", arguments=arguments),))
            )
        if self.told == 2:
            arguments = {"person": f"Director {self.number}"}
            return Sample(Turn(calls=(Call(id="b", name="get_date_of_birth", arguments=arguments),)))
        wrong = self.number % 10 == 3
        return Sample(Turn(answer=f"Director {self.number}" if wrong else self.task.answers[0]))

    def tokens(self):
        return None

    def close(self):
        pass


class FilmTeacher:
    """Also its own policy and tool source. ``jitter`` seeds random delays, so that tasks end in any order."""

    name = "films"

    def __init__(self, jitter: int | None = None) -> None:
        self.jitter = random.Random(jitter) if jitter is not None else None
        self.policy = self.tools = self
        self.prompts = {"toolmaker": "abc"}
        self.prepared: list[str] = []

    async def prepare(self, task: Task, seed: int):
        self.prepared.append(task.id)
        number = int(task.id[-5:])
        if number % 10 == 5:
            raise ModelError(f"no toolset for {task.id}\nand a second line")
        if number % 20 == 11:
            raise KeyError("a bug")
        own = TOOLSET[0].model_copy(update={"description": f"Who directed it (kind {number % 3})."})
        facts = [
            Fact(subject=f"Film {number}", relation="director", object=f"Director {number}"),
            Fact(subject=f"Director {number}", relation="date of birth", object=task.answers[0]),
        ]
        return (own, *TOOLSET[1:]), World(task.id, facts, FactsFrom.EVIDENCE)

    def open(self, task: Task, toolset, seed: int) -> Session:
        return Session(task, self.jitter)

    def source_of(self, contract):
        return Source.SIMULATED

    async def call(self, contract, call, world: World) -> Observation:
        number = int(world.task_id[-5:])
        if number % 10 == 9:
            raise SimulatorError("the actor gave up")
        fact = world.facts[0] if call.name == "get_director" else world.facts[1]
        content = {fact.relation.replace(" ", "_"): fact.object}
        return Observation(call_id=call.id, name=call.name, content=content, source=Source.SIMULATED)


def run(path: Path, count: int, jitter: int | None = None, resume: bool = False, concurrency: int = 8, config=None):
    """Synthesise ``count`` tasks into ``path``; returns the summary and the teacher."""
    settings = SynthesisSettings(concurrency=concurrency)
    teacher = FilmTeacher(jitter)
    with RunFolder(path) as folder:
        folder.start(settings.model_dump(mode="json") | (config or {}), resume, FREE_KEYS)
        return asyncio.run(synthesise(film_tasks(count), teacher, folder, settings)), teacher


def contents(path: Path) -> dict[str, list[str]]:
    """All records of a folder as sorted text, without what may differ between runs: seconds."""
    files = {}
    for file in sorted(path.glob("*.jsonl")):
        lines = [line.partition('"seconds":')[0] for line in file.read_text().splitlines()]
        files[file.name] = sorted(lines)
    return files


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), jitter=derive_seed(sys.argv[1]), resume=True, concurrency=4)
