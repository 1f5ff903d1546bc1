"""The chat models of a run: one for each role, with a cache before them and a ledger of what was paid.

A role's model is an endpoint of its own only where its settings differ; agents on the same server, model and key share
what those allow per minute and at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from understudy.llm.cache import Cache, cache_key, default_folder
from understudy.llm.endpoint import FREE_KEYS, Endpoint, EndpointSettings, Gate
from understudy.llm.ledger import Ledger
from understudy.llm.protocol import ChatModel, ChatReply, ChatRequest, Role

AUTO, OFF = "auto", "off"
_SHARED = {"base_url", "model", "api_key_env", "concurrency", "requests_per_minute", "tokens_per_minute"}


class ModelsSettings(EndpointSettings):
    """Where the agents' chat model is, how to treat it, and which agents have another."""

    cache: str = AUTO
    """Folder of the cache of answers, so that none is paid for twice; ``auto`` is ``understudy`` in the user's cache
    folder, ``off`` is none."""

    roles: dict[Role, dict[str, Any]] = Field(default_factory=dict)
    """What differs for an agent: any key of this table but ``cache`` and ``roles``, as in
    ``[endpoint.roles.toolactor]`` with ``model = "small"``. With another ``base_url`` goes another ``api_key_env``, or
    none."""

    @model_validator(mode="after")
    def _roles_are_endpoints(self) -> Self:
        for role in self.roles:
            try:
                self.of(role)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
                key = ".".join(str(part) for part in ("roles", role, *first["loc"]))
                raise ValueError(f"{key}: {message}") from None
        return self

    def of(self, role: Role) -> EndpointSettings:
        """The settings of one role."""
        own = self.roles.get(role, {})
        # A key is not sent to a server that it was not named for.
        unshared = {"cache", "roles"} | ({"api_key_env"} if "base_url" in own else set())
        return EndpointSettings.model_validate(self.model_dump(exclude=unshared) | own)


def free_keys(table: str) -> list[str]:
    """Dotted keys of the ``ModelsSettings`` at ``table`` that may differ when a run is resumed."""
    tables = [table, *(f"{table}.roles.{role}" for role in Role)]
    return [f"{table}.cache", *(f"{name}.{key}" for name in tables for key in FREE_KEYS)]


class CachedModel:
    """A ``ChatModel`` that asks an endpoint only what the cache does not have.

    Args:
        endpoint: who is asked; the caller closes it.
        cache: what was answered before; None to ask always.
        ledger: told of every paid answer; None for nobody.
    """

    def __init__(self, endpoint: Endpoint, cache: Cache | None, ledger: Ledger | None = None) -> None:
        self.name = endpoint.name
        self._endpoint, self._cache, self._ledger = endpoint, cache, ledger

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request. An answer's cost is what it would take to get it, from the cache too.

        Raises:
            ModelError: the endpoint gave no usable answer.
            OutageError: it will give none, or the disk refuses.
        """
        body = self._endpoint.encode(request)
        key = cache_key(self._endpoint.settings.base_url, body, request.seed)
        if self._cache and (known := self._cache.get(key)):
            return self._endpoint.priced(known)
        reply = await self._endpoint.send(body, request.max_tokens)
        if self._ledger:
            self._ledger.add(key, request.role, self.name, reply)
        if self._cache:
            self._cache.put(key, reply)
        return reply


class Models(Mapping[Role, ChatModel]):
    """A chat model for each role, for as long as the context lasts.

    Args:
        settings: where they are.
        requests: file of the ledger; None for no ledger.

    Attributes:
        ledger: told of every paid answer; the caller enters it before the first request.

    Raises:
        InputError: an environment variable holds no key, or the cache can't be used.
    """

    def __init__(self, settings: ModelsSettings, requests: Path | None = None) -> None:
        self._endpoints: dict[str, Endpoint] = {}
        gates: dict[str, Gate] = {}
        own = {role: settings.of(role) for role in Role}
        for one in own.values():
            gate = gates.setdefault(one.model_dump_json(include=_SHARED), Gate(one))
            if (identity := one.model_dump_json()) not in self._endpoints:
                self._endpoints[identity] = Endpoint(one, gate)
        self._cache = open_cache(settings.cache)
        self.ledger = Ledger(requests, self._cache) if requests else None
        self._models = {
            role: CachedModel(self._endpoints[one.model_dump_json()], self._cache, self.ledger)
            for role, one in own.items()
        }

    def __getitem__(self, role: Role) -> ChatModel:
        return self._models[role]

    def __iter__(self) -> Iterator[Role]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for endpoint in self._endpoints.values():
            await endpoint.aclose()
        if self._cache:
            self._cache.close()


def open_cache(where: str) -> Cache | None:
    """The cache in a folder, or as ``auto`` or ``off`` say.

    Raises:
        InputError: it can't be used.
    """
    if where == OFF:
        return None
    return Cache(default_folder() if where == AUTO else Path(where).expanduser())
