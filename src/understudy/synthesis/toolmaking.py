"""Toolsets for the tasks of a run, with contracts reused from task to task.

The ToolMaker is offered the contracts of the library that share words with a question; what it makes anew and the
library already has under other names is replaced by the library's. So the set of tools grows the way real APIs do.

**Nothing depends on what happens to be done first.** Tasks are divided into blocks by their place among the questions:
8, then as many as all before, at most 256. A task sees the library as it was after all blocks but the one before its
own and its own; a block's new contracts come in together, in the order of its tasks, once all of them have their
toolset. The block in between keeps work from waiting: while one block is made, the next has begun. So the same
questions give the same library at any concurrency, and after any kill.

``toolmaking.jsonl`` has a line for each toolset: contracts made anew in full, reused ones by their place in the
library, utilities by name. The library is read back from it, and a resumed run asks for no toolset twice.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import IO, Any

import orjson

from understudy.agents.toolmaker import ToolMaker, contract_problems
from understudy.contract import ToolContract
from understudy.hashes import HashMap, hash64
from understudy.jsonl import JsonlWriter
from understudy.synthesis.library import ToolLibrary
from understudy.synthesis.store import RunFolder
from understudy.task import Task
from understudy.tools.utilities import UTILITIES

FILE = "toolmaking.jsonl"
OFFERED = 8
"""Contracts of the library that the ToolMaker is offered for a question."""
FIRST, LARGEST = 8, 256
"""Tasks in the first block, and in the largest."""
SYNC_LINES = 64
CACHED = 1024  # contracts of the library that are held in memory
_PER_LINE = 16  # contracts of a toolset at most, for numbering them


def block_of(place: int) -> int:
    """The block of the task at ``place``: 8 tasks, 8, 16, 32, 64, 128, then 256 each."""
    return (place // FIRST).bit_length() if place < LARGEST else LARGEST.bit_length() - 4 + place // LARGEST


class Toolmaking:
    """Makes the toolsets of one run.

    Args:
        folder: of the run, and started.
        maker: who makes contracts.

    Raises:
        InputError: the disk refuses.
    """

    def __init__(self, folder: RunFolder, maker: ToolMaker) -> None:
        self._maker, self._folder, self._path = maker, folder, folder.path / FILE
        self._writer = JsonlWriter(self._path, SYNC_LINES)
        self._file: IO[bytes] = self._path.open("rb")
        self._starts = array("Q")  # where each line of the file begins
        self._line_of, self._places = HashMap(), HashMap()  # by task
        for line in iter(self._file.readline, b""):
            self._note(orjson.loads(line)["task_id"], self._file.tell() - len(line))
        # Of tasks that are done, a line that was lost (a power cut) follows from their toolset.
        for task_id, toolset in folder.toolsets(lambda task_id: hash64(task_id) not in self._line_of):
            self._write(task_id, None, toolset)
        self._library, self._origins = ToolLibrary(), array("Q")
        self._sizes = array("I")  # of the library after each block that is complete
        self._next, self._all = 0, False
        self._open: dict[int, dict[int, str]] = {}
        self._settled: dict[int, int | None] = {}  # place → line, or None if the task contributes nothing
        self._complete: dict[int, asyncio.Event] = {}
        self._contract = lru_cache(CACHED)(self._read_contract)

    def follow(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Pass all tasks of the run on, in the order of the questions, and note it."""
        for task in tasks:
            place = self._next
            self._next += 1
            key = hash64(task.id)
            self._places[key] = place
            if (line := self._line_of.get(key)) is not None:
                self._settled[place] = line
            else:
                self._open.setdefault(block_of(place), {})[place] = task.id
            self._complete_blocks()
            yield task
        self._all = True
        self._complete_blocks()

    async def make(self, task: Task, seed: int) -> tuple[ToolContract, ...]:
        """The toolset of a task that was followed. Only the first one made for a task contributes to the library.

        Raises:
            ModelError: the ToolMaker gave nothing usable.
            InputError: the disk refuses.
        """
        key = hash64(task.id)
        place = self._places.get(key)
        if place is None:
            raise LookupError(f"task {task.id!r} was not followed")
        size = await self._size_for(block_of(place))
        if (line := self._line_of.get(key)) is not None and (record := self._read(line))["seed"] == seed:
            return tuple(map(self._recorded, record["tools"]))
        try:
            offered = self._offered(task.question, size)
            made = (await self._maker.make(task.question, seed, offered)).contracts
        except Exception:
            self._settle(place, None)
            raise
        tools = self._merged(made, task.question, size)
        if self._is_open(place):
            self._settle(place, self._write(task.id, seed, tools))
        return tuple(tool if isinstance(tool, ToolContract) else self._contract(tool) for tool in tools)

    def close(self) -> None:
        """Bring everything to the disk."""
        self._file.close()
        self._writer.close()

    async def _size_for(self, block: int) -> int:
        """How many contracts of the library the tasks of a block see, once that is known."""
        if block < 2:
            return 0
        before = block - 2
        if before >= len(self._sizes):
            self._complete_blocks()
        if before >= len(self._sizes):
            await self._complete.setdefault(before, asyncio.Event()).wait()
        return self._sizes[before]

    def _offered(self, question: str, size: int) -> list[ToolContract]:
        """Contracts that may fit, of each name the best one."""
        found = map(self._contract, self._library.similar(question, size, OFFERED))
        return list({contract.name: contract for contract in reversed(list(found))}.values())[::-1]

    def _merged(self, made: Sequence[ToolContract], question: str, size: int) -> list[ToolContract | int]:
        """A toolset in which a contract that the library has is given by its place there.

        A contract keeps its own wording where the library's would take another one's name, or repeat the question.
        """
        tools: list[ToolContract | int] = []
        names = {contract.name for contract in made}
        for contract in made:
            place = None if contract.name in UTILITIES else self._library.same(contract, size)
            known = contract if place is None else self._contract(place)
            taken = known.name in names - {contract.name}
            if place is None or place in tools or taken or contract_problems([known], question):
                tools.append(contract)
            else:
                tools.append(place)
                names.add(known.name)
        return tools

    def _settle(self, place: int, line: int | None) -> None:
        """A task has what it contributes; what comes later for it is another attempt."""
        if self._is_open(place):
            self._settled[place] = line
            del self._open[block_of(place)][place]
            self._complete_blocks()

    def _is_open(self, place: int) -> bool:
        return place in self._open.get(block_of(place), ())

    def _complete_blocks(self) -> None:
        """Take in the contracts of all blocks of which every task has its toolset, or its outcome without one."""
        while self._next and (self._all or block_of(self._next) > len(self._sizes)):
            block = len(self._sizes)
            waiting = self._open.get(block, {})
            if block > block_of(self._next - 1) or not all(map(self._folder.is_done, waiting.values())):
                return
            self._open.pop(block, None)
            for place in sorted(place for place in self._settled if block_of(place) == block):
                if (line := self._settled.pop(place)) is not None:
                    self._take_in(line)
            self._sizes.append(len(self._library))
            self._complete.pop(block, asyncio.Event()).set()

    def _take_in(self, line: int) -> None:
        for index, tool in enumerate(self._read(line)["tools"]):
            if isinstance(tool, dict) and self._library.add(ToolContract(**tool)):
                self._origins.append(line * _PER_LINE + index)

    def _write(self, task_id: str, seed: int | None, tools: Sequence[ToolContract | int]) -> int:
        start = self._path.stat().st_size
        self._writer.write({"task_id": task_id, "seed": seed, "tools": list(map(_record, tools))})
        return self._note(task_id, start)

    def _note(self, task_id: str, start: int) -> int:
        line = len(self._starts)
        self._starts.append(start)
        return self._line_of.setdefault(hash64(task_id), line)

    def _read(self, line: int) -> dict[str, Any]:
        self._file.seek(self._starts[line])
        record: dict[str, Any] = orjson.loads(self._file.readline())
        return record

    def _read_contract(self, place: int) -> ToolContract:
        line, index = divmod(self._origins[place], _PER_LINE)
        return ToolContract(**self._read(line)["tools"][index])

    def _recorded(self, tool: Any) -> ToolContract:
        if isinstance(tool, str):
            return UTILITIES[tool].contract
        return self._contract(tool) if isinstance(tool, int) else ToolContract(**tool)


def _record(tool: ToolContract | int) -> Any:
    if isinstance(tool, ToolContract):
        return tool.name if tool.name in UTILITIES else tool.model_dump(mode="json")
    return tool
