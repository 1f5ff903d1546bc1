"""Search as a tool: what the policy sees, and who is blamed."""

from __future__ import annotations

import pytest

from understudy.agents.toolactor import ToolActor
from understudy.errors import SimulatorError, ToolError
from understudy.llm.scripted import ScriptedChat
from understudy.schema import dumps
from understudy.search.memory import MemoryIndex
from understudy.search.tools import MAX_TEXT_CHARS, SEARCH, SearchTools
from understudy.task import Passage
from understudy.tools.simulated import SimulatedTools
from understudy.trace import Call, Source, Status
from understudy.world import World

PASSAGES = [
    Passage(title="Arthur's Magazine", text="An American literary periodical published in Philadelphia."),
    Passage(title="First for Women", text="A women's magazine published by Bauer Media Group in the USA."),
    Passage(title="Long", text="zebra " * MAX_TEXT_CHARS),
]


def call(query: str) -> Call:
    return Call(id="c1", name=SEARCH.name, arguments={"query": query})


async def test_the_policy_sees_titles_and_texts_best_first_under_the_contract():
    tools = SearchTools(MemoryIndex.build(PASSAGES), top_k=2)
    observed = await tools.call(SEARCH, call("women's magazine Bauer"), World("t"))
    assert [found["title"] for found in observed.content["results"]] == ["First for Women", "Arthur's Magazine"]
    assert SEARCH.result_violations(observed.content) == []
    assert (observed.source, observed.status, observed.call_id) == (Source.LIVE, Status.OK, "c1")


@pytest.mark.parametrize("query", ["qqqq", "", "?!"])
async def test_a_search_without_a_match_gives_no_passages(query):
    observed = await SearchTools(MemoryIndex.build(PASSAGES)).call(SEARCH, call(query), World("t"))
    assert observed.content == {"results": []}


async def test_long_passages_are_cut():
    observed = await SearchTools(MemoryIndex.build(PASSAGES)).call(SEARCH, call("zebra"), World("t"))
    assert len(observed.content["results"][0]["text"]) == MAX_TEXT_CHARS


async def test_other_contracts_are_refused_and_a_failing_retriever_is_not_the_policys_fault():
    class Down:
        name = "down"

        async def search(self, queries, k):
            raise SimulatorError("the server is down")

    with pytest.raises(ToolError, match="no live tool 'other'"):
        await SearchTools(Down()).call(SEARCH.model_copy(update={"name": "other"}), call("x"), World("t"))
    with pytest.raises(SimulatorError, match="down"):
        await SearchTools(Down()).call(SEARCH, call("x"), World("t"))


async def test_a_model_can_play_the_same_tool():
    passage = {"title": "First for Women", "text": "A women's magazine."}
    actor = ToolActor(ScriptedChat([dumps({"results": [passage]})]))
    simulated = await SimulatedTools(actor).call(SEARCH, call("women's magazine"), World("t"))
    live = await SearchTools(MemoryIndex.build(PASSAGES), top_k=1).call(SEARCH, call("women's magazine"), World("t"))
    assert simulated.content == {"results": [passage]}
    assert simulated.status is live.status is Status.OK
    assert [set(found) for found in simulated.content["results"]] == [set(found) for found in live.content["results"]]
