"""The tool library: what is one tool, what fits a question, and that nothing depends on the order of arrival."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmteacher import contents
from understudy.agents.toolmaker import ToolMaker
from understudy.contract import ToolContract
from understudy.lab import toolmaker
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.llm.scripted import ScriptedChat
from understudy.synthesis.library import ToolLibrary, contract_id, signature
from understudy.synthesis.pipeline import SynthesisSettings, synthesise
from understudy.synthesis.store import OUTCOMES, RunFolder
from understudy.synthesis.teacher import AgentTeacher
from understudy.synthesis.toolmaking import FILE, Toolmaking, block_of
from understudy.task import Task

STRING = {"type": "string"}


def schema(*names: str, **more: object) -> dict[str, object]:
    return {"type": "object", "properties": dict.fromkeys(names, STRING) | more, "required": list(names)}


def contract(name: str, takes: str, gives: str, description: str = "Look it up.") -> ToolContract:
    return ToolContract(name=name, description=description, parameters=schema(takes), returns=schema(gives))


DIRECTOR = contract("get_film_director", "film", "director")


@pytest.mark.parametrize(
    ("other", "one"),
    [
        (contract("find_director", "film", "director", "Who directed a film."), True),
        (contract("directorOfTheFilm", "Film", "director"), True),
        (contract("get_film", "director", "film"), False),
        (contract("get_film_director", "movie", "director"), False),
        (contract("get_film_art_director", "film", "director"), False),
        (DIRECTOR.model_copy(update={"parameters": schema("film", year=STRING)}), False),
        (DIRECTOR.model_copy(update={"parameters": schema(film={"type": "integer"})}), False),
        (DIRECTOR.model_copy(update={"parameters": schema(film=STRING)}), False),
        (DIRECTOR.model_copy(update={"parameters": schema("film", film={**STRING, "title": "x"})}), True),
    ],
)  # fmt: skip
def test_contracts_are_one_when_they_are_equal_up_to_naming(other: ToolContract, one: bool) -> None:
    assert (signature(other) == signature(DIRECTOR)) is one


def test_what_a_mere_name_is_of_counts() -> None:
    city = contract("get_country", "name", "country", "Look up the country of a city.")
    assert signature(city) == signature(contract("find_country", "name", "country", "Gives the country of the city."))
    assert signature(city) != signature(contract("get_country", "name", "country", "Look up the country of a person."))


@given(st.permutations(range(6)))
def test_a_signature_does_not_depend_on_the_order_of_keys(order: list[int]) -> None:
    names = [f"field_{number}" for number in order]
    made = ToolContract(name="x", description="", parameters=schema(*names), returns=schema(*names[::-1]))
    assert signature(made) == signature(made.model_copy(update={"parameters": schema(*sorted(names))}))


def test_what_fits_comes_first_and_later_contracts_change_nothing() -> None:
    library = ToolLibrary()
    for number in range(20):
        assert library.add(contract(f"get_thing_{number}", "thing", f"part_{number}"))
    assert library.add(DIRECTOR)
    assert library.add(contract("get_birth_date", "person", "date", "Look up when a person was born."))
    assert not library.add(contract("find_director", "film", "director"))
    question = "When was the person born who directed the film Night Tide?"
    found = library.similar(question, 22, 2)
    assert sorted(found) == [20, 21]
    assert library.similar(question, 21, 5) == [20]
    assert library.similar(question, 20, 5) == library.similar("Why?", 22, 5) == []
    assert (library.same(DIRECTOR, 21), library.same(DIRECTOR, 20)) == (20, None)
    for number in range(50):
        library.add(contract(f"get_film_{number}", "film", f"person_{number}"))
    assert library.similar(question, 22, 2) == found


def test_blocks_double_up_to_the_largest() -> None:
    starts = [place for place in range(1, 2000) if block_of(place) != block_of(place - 1)]
    assert starts == [8, 16, 32, 64, 128, *range(256, 2000, 256)]
    assert [block_of(place) for place in (0, *starts)] == list(range(len(starts) + 1))


NUMBER = 140


class Jittered(ScriptedModel):
    """Answers after delays that differ from run to run; counts what the ToolMaker was asked."""

    def __init__(self, jitter: int) -> None:
        super().__init__(0)
        self._delays = random.Random(jitter)
        self.asked: list[str] = []

    async def complete(self, request: ChatRequest) -> ChatReply:
        if request.role == "toolmaker":
            self.asked.append(orjson.loads(request.messages[-1]["content"])["question"])
        await asyncio.sleep(self._delays.random() * 0.005)
        return await super().complete(request)


def run(
    path: Path, jitter: int, concurrency: int = 16, stop_after: int | None = None, resume: bool = False
) -> Jittered:
    model = Jittered(jitter)
    settings = SynthesisSettings(concurrency=concurrency)
    tasks = make_tasks(Universe(0, "train", 300), NUMBER, 0)
    tasks[5:5] = [tasks[2].model_copy(update={"id": "again"})]  # a duplicate gets no toolset

    async def synthesis() -> None:
        teacher = AgentTeacher.on(model)
        with RunFolder(path) as folder:
            folder.start({"x": 1}, resume)

            def stop(progress: object) -> None:
                if stop_after and folder.counts.total() >= stop_after:
                    running.cancel()

            with closing(teacher.reuse_tools(folder)) as toolmaking:
                followed = toolmaking.follow(tasks)
                running = asyncio.ensure_future(synthesise(followed, teacher, folder, settings, stop))
                await asyncio.wait([running])
                if not running.cancelled():
                    running.result()

    asyncio.run(synthesis())
    return model


@pytest.fixture(scope="module", autouse=True)
def plain_toolsets() -> Iterator[None]:
    """The lab's toolsets begin with any word and look like none other, so that no contract would be met twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolmaker, "any_words", lambda: ("get", "find", "look_up", "fetch", "read"))
        patch.setattr(toolmaker, "SHAPES", ("record",))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole")
    run(path, 0)
    return path


def tools(path: Path) -> int:
    return len((path / "tools.jsonl").read_bytes().splitlines())


def test_contracts_are_reused(whole: Path) -> None:
    used = [
        name for line in (whole / "toolsets.jsonl").read_bytes().splitlines() for name in orjson.loads(line)["tools"]
    ]
    assert len(set(used)) == tools(whole) < 0.9 * len(used)
    lines = [orjson.loads(line)["tools"] for line in (whole / FILE).read_bytes().splitlines()]
    assert any(isinstance(tool, int) for made in lines for tool in made)


@pytest.mark.parametrize("concurrency", [1, 3, 64])
def test_neither_concurrency_nor_arrival_change_the_toolsets(whole: Path, tmp_path: Path, concurrency: int) -> None:
    run(tmp_path, concurrency, concurrency)
    assert contents(tmp_path) == contents(whole)


def test_a_stopped_run_goes_on_with_the_same_library_and_asks_for_no_toolset_twice(whole: Path, tmp_path: Path) -> None:
    asked = []
    for number, stop_after in enumerate((5, 19, 40, None)):
        asked += run(tmp_path, number, 7, stop_after, resume=True).asked
    assert contents(tmp_path) == contents(whole)
    assert NUMBER <= len(asked) <= NUMBER + 3 * 7  # those under way when it was stopped


def test_files_cut_at_any_byte_give_the_same_again(whole: Path, tmp_path: Path) -> None:
    draw = random.Random(0)
    for name in (FILE, "toolsets.jsonl", "tools.jsonl", "tasks.jsonl", OUTCOMES[0]):
        for file in whole.iterdir():
            if file.is_file():
                (tmp_path / file.name).write_bytes(file.read_bytes())
        data = (whole / name).read_bytes()
        (tmp_path / name).write_bytes(data[: draw.randrange(len(data))])
        run(tmp_path, 0, resume=True)
        found, expected = contents(tmp_path), contents(whole)
        for journal in (found, expected):
            journal.pop(FILE)  # lines that follow from toolsets are written differently
        assert found == expected, name


async def test_the_maker_is_offered_the_library_and_may_reuse_it(tmp_path: Path) -> None:
    made = [
        contract(name, "film", name[4:], f"Look up the {name[4:]} of a film.") for name in ("get_year", "get_budget")
    ]
    replies = {"kind": "bridge", "utilities": ["calculator"]}
    new = replies | {"tools": [tool.model_dump() for tool in (DIRECTOR, *made)]}
    known = {
        "utilities": ["calculator"],
        "kind": "bridge",
        "reuse": [DIRECTOR.name, "get_year", "get_budget"],
        "tools": [],
    }

    def reply(request: ChatRequest) -> str:
        return orjson.dumps(known if "library" in orjson.loads(request.messages[-1]["content"]) else new).decode()

    model = ScriptedChat(reply)
    tasks = [
        Task(id=f"t{number}", question=f"Which film of the year {number}?", answers=("x",)) for number in range(17)
    ]
    with RunFolder(tmp_path) as folder:
        folder.start({}, resume=False)
        with closing(Toolmaking(folder, ToolMaker(model))) as toolmaking:
            toolsets = [await toolmaking.make(task, 1) for task in toolmaking.follow(tasks)]
            requests = len(model.requests)
            assert [await toolmaking.make(task, 1) for task in tasks] == toolsets
            assert len(model.requests) == requests
    payload = orjson.loads(model.requests[-1].messages[-1]["content"])
    assert {tool["name"] for tool in payload["library"]} == {tool.name for tool in (DIRECTOR, *made)}
    assert {tuple(sorted(tool.name for tool in toolset)) for toolset in toolsets} == {
        ("calculator", "get_budget", "get_film_director", "get_year")
    }
    assert len({contract_id(tool) for toolset in toolsets for tool in toolset}) == 4


async def test_a_task_that_nobody_announced_is_a_mistake(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        folder.start({}, resume=False)
        with closing(Toolmaking(folder, ToolMaker(ScriptedChat([])))) as toolmaking, pytest.raises(LookupError):
            await toolmaking.make(Task(id="t", question="Who?", answers=("x",)), 0)
