"""A model per role, a cache before them, and a ledger of what was paid."""

import tomllib

import orjson
import pytest

import virtual
from faulty import REQUEST, FaultyTransport
from understudy.config import build
from understudy.errors import InputError
from understudy.llm.cache import Cache
from understudy.llm.endpoint import Endpoint, EndpointSettings
from understudy.llm.ledger import Ledger
from understudy.llm.models import CachedModel, Models, ModelsSettings, free_keys
from understudy.llm.protocol import ChatRequest, Role

TABLE = """
base_url = "http://127.0.0.1:1/v1"
model = "large"
concurrency = 7
price = {prompt = 1.0, completion = 2.0}
[roles.toolactor]
model = "small"
structured_output = "none"
[roles.toolmaker]
temperature = 1
"""


def settings(table=TABLE):
    return build(ModelsSettings, tomllib.loads(table), "c.toml")


def test_a_role_differs_in_what_it_says_and_is_the_same_in_the_rest():
    chosen = settings(TABLE.partition("[roles.toolmaker]")[0])
    actor, agent = chosen.of(Role.TOOLACTOR), chosen.of(Role.AUTOAGENT)
    assert (actor.model, actor.structured_output, actor.concurrency, actor.price.completion) == ("small", "none", 7, 2)
    assert (agent.model, agent.structured_output) == ("large", "json_schema")
    assert ModelsSettings(**chosen.model_dump(mode="json")) == chosen


def test_a_key_goes_to_no_server_that_it_was_not_named_for():
    key = 'api_key_env = "KEY"\n[roles.toolactor]\nbase_url = "http://other/v1"\n[roles.toolmaker]\nmodel = "small"'
    chosen = settings(TABLE.partition("[roles")[0] + key)
    assert chosen.of(Role.TOOLACTOR).api_key_env is None
    assert chosen.of(Role.TOOLMAKER).api_key_env == "KEY"


@pytest.mark.parametrize(
    ("roles", "says"),
    [
        ("[roles.toolmaker]\ntemperature = 1", "roles.toolmaker.temperature: unknown key"),
        ("[roles.toolactor]\nconcurrency = 0", "roles.toolactor.concurrency: .*greater than or equal to 1"),
        ("[roles.toolactor]\ncache = 'off'", "roles.toolactor.cache: unknown key"),
        ("[roles.poet]\nmodel = 'x'", "roles.poet"),
    ],
)
def test_a_bad_role_is_named(roles, says):
    with pytest.raises(InputError, match=says):
        settings(TABLE.partition("[roles")[0] + roles)


def test_a_resumed_run_may_change_limits_of_any_role():
    assert {"endpoint.timeout", "endpoint.cache", "endpoint.roles.toolactor.concurrency"} <= set(free_keys("endpoint"))
    assert not {"endpoint.model", "endpoint.roles.toolactor.model"} & set(free_keys("endpoint"))


async def test_models_have_the_names_of_their_roles_and_share_what_is_the_same(tmp_path):
    chosen = settings(TABLE.partition("[roles.toolmaker]")[0] + "[roles.autoagent]\nextra = {top_p = 0.5}")
    async with Models(chosen.model_copy(update={"cache": str(tmp_path)})) as models:
        assert {role: model.name for role, model in models.items()} == {
            "toolmaker": "large", "factdrafter": "large", "toolactor": "small", "autoagent": "large", "judge": "large",
        }  # fmt: skip
        gates = {role: model._endpoint._gate for role, model in models.items()}
        assert gates[Role.AUTOAGENT] is gates[Role.TOOLMAKER]
        assert gates[Role.AUTOAGENT] is not gates[Role.TOOLACTOR]


def request(number, role="toolactor"):
    return ChatRequest(role=role, messages=({"role": "user", "content": str(number % 10)},), seed=number)


def cached(tmp_path, server, work, path=None):
    """Run ``work(model)`` on a cached model over ``server``; returns what it does, and the ledger."""
    chosen = EndpointSettings(base_url="http://x/v1", model="m", price={"prompt": 1.0, "completion": 10.0})

    async def run():
        with Cache(tmp_path) as cache, Ledger(path or tmp_path / "requests.jsonl", cache) as ledger:
            async with Endpoint(chosen, transport=server) as endpoint:
                return await work(CachedModel(endpoint, cache, ledger)), ledger

    return virtual.run(run())


def test_a_repeated_run_asks_nothing_and_costs_nothing(tmp_path):
    async def all_of(model):
        return [await model.complete(request(number)) for number in range(20)]

    first, again = FaultyTransport(), FaultyTransport()
    replies, ledger = cached(tmp_path, first, all_of, tmp_path / "one.jsonl")
    assert len(first.sent) == ledger.requests == 20
    same, ledger = cached(tmp_path, again, all_of, tmp_path / "two.jsonl")
    assert (same, again.sent, ledger.requests) == (replies, [], 0)
    assert replies[0].cost == pytest.approx(240e-6)


def test_another_sample_of_the_same_request_is_another_answer(tmp_path):
    server = FaultyTransport()

    async def work(model):
        for seed in (1, 2, 2**31 + 1, 1):
            await model.complete(ChatRequest(role="toolactor", messages=REQUEST.messages, seed=seed))

    cached(tmp_path, server, work)
    assert len(server.sent) == 3


def test_the_ledger_counts_by_role_and_goes_on_where_it_was(tmp_path):
    path = tmp_path / "requests.jsonl"

    async def work(model):
        for number in range(3):
            await model.complete(request(number, "toolmaker"))
        await model.complete(request(9, "autoagent"))

    cached(tmp_path / "a", FaultyTransport(), work, path)
    path.write_bytes(path.read_bytes()[:-5])  # killed while writing
    with Ledger(path) as ledger:
        assert ledger.requests == 3
    _, ledger = cached(tmp_path / "a", FaultyTransport(), work, path)
    assert ledger.requests == 3
    _, ledger = cached(tmp_path / "b", FaultyTransport(), work, tmp_path / "b.jsonl")
    assert (ledger.requests, dict(ledger.tokens)) == (4, {"toolmaker": 180, "autoagent": 60})
    assert ledger.cost == pytest.approx({"toolmaker": 3 * 240e-6, "autoagent": 240e-6})
    record = orjson.loads(path.read_bytes().splitlines()[0])
    assert len(record.pop("key")) == 64
    assert record == {
        "role": "toolmaker", "model": "m", "prompt_tokens": 40, "completion_tokens": 20, "cost": pytest.approx(240e-6),
    }  # fmt: skip


def test_an_answer_that_was_paid_but_not_kept_is_asked_for_again_and_counted_once(tmp_path):
    """A process killed between the ledger and the cache."""
    path = tmp_path / "requests.jsonl"

    async def ask(model, count=5):
        for number in range(count):
            await model.complete(request(number))

    cached(tmp_path / "whole", FaultyTransport(), ask, path)
    cached(tmp_path / "cut", FaultyTransport(), lambda model: ask(model, 4), tmp_path / "other.jsonl")
    server = FaultyTransport()
    _, ledger = cached(tmp_path / "cut", server, ask, path)
    assert (len(server.sent), ledger.requests, len(path.read_bytes().splitlines())) == (1, 5, 5)
    assert ledger.tokens == {"toolactor": 300}


def test_without_a_cache_every_request_is_asked(tmp_path):
    server = FaultyTransport()

    async def work():
        async with Endpoint(EndpointSettings(base_url="http://x/v1", model="m"), transport=server) as endpoint:
            for _ in range(2):
                await CachedModel(endpoint, None).complete(REQUEST)

    virtual.run(work())
    assert len(server.sent) == 2
