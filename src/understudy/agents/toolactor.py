"""The ToolActor: acts a tool. State is in code, prose in the model.

The facts that a call is about are selected here; the model words a result from them. What comes back is validated
against the contract and against those facts, so a result is well-formed and consistent with the world, or there is
none. The actor sees neither the question nor the answer, nor who asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from understudy.agents.ask import ask
from understudy.agents.prompt import load
from understudy.checks.contradiction import contradictions
from understudy.contract import ToolContract
from understudy.errors import ModelError, SimulatorError
from understudy.llm.protocol import ChatModel
from understudy.schema import canonical
from understudy.scoring import normalize
from understudy.seed import derive_seed
from understudy.task import Fact
from understudy.trace import Status, error_status
from understudy.world import Remembered, World

MAX_FACTS = 32
MAX_RESULT_BYTES = 8_192
MISS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"status": {"const": Status.TOOL_ERROR.value}, "message": {"type": "string"}},
            "required": ["status", "message"],
            "additionalProperties": False,
        }
    },
    "required": ["error"],
    "additionalProperties": False,
}
"""What every tool may return instead of a result."""

_QUALIFIER = re.compile(r"\s*\([^()]*\)\s*$")


class ToolActor:
    """Words the result of any contract from a world's facts.

    Args:
        model: who words it.
        attempts: requests per call at most; each after the first is told what was wrong.
    """

    def __init__(self, model: ChatModel, attempts: int = 3) -> None:
        self.model = model
        self._attempts = attempts
        self._prompt = load("toolactor")
        self.prompts: Mapping[str, str] = {self._prompt.name: self._prompt.sha256}

    async def act(self, contract: ToolContract, arguments: dict[str, Any], world: World) -> Remembered:
        """The tool's result, or its miss.

        Every request is a pure function of (world, contract, canonical arguments): whoever of a group asks first,
        and however the arguments are spaced, the model is asked the same.

        Raises:
            SimulatorError: no attempt gave a result that keeps the contract and the facts.
        """
        arguments = orjson.loads(canonical(arguments))
        facts = relevant_facts(arguments, world)
        tool = contract.model_dump()
        payload = {"tool": tool, "arguments": arguments, "facts": [fact.model_dump() for fact in facts]}

        def check(result: Any) -> list[str]:
            return _problems(result, contract) or contradictions(result, arguments, facts, contract.name)

        seed = derive_seed(world.id, World.memo_key(contract, arguments))
        try:
            result = await ask(
                self.model, self._prompt, payload, _reply_schema(contract.returns), check, self._attempts, seed
            )
        except ModelError as error:
            raise SimulatorError(f"{contract.name}: {error}") from None
        return Remembered(content=result, status=(error_status(result) or Status.OK).value)


def relevant_facts(arguments: dict[str, Any], world: World, limit: int = MAX_FACTS) -> list[Fact]:
    """Facts whose subject or object is a string of ``arguments``, then those that such a string mentions.

    A qualifier in brackets at the end of a name ("Ali (film)") may be left out by who asks.
    """
    texts = list(_strings(arguments))
    exact = [fact for text in texts for fact in world.about(text)]
    padded = [f" {normalize(text)} " for text in texts]
    mentioned = [
        fact
        for fact in world.facts
        if any(f" {name} " in text for name in _names(fact) for text in padded if len(name) > 2)
    ]
    return list(dict.fromkeys(exact + mentioned))[:limit]


def _names(fact: Fact) -> set[str]:
    sides = (fact.subject, fact.object)
    return {normalize(name) for side in sides for name in (side, _QUALIFIER.sub("", side))}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _problems(result: Any, contract: ToolContract) -> list[str]:
    status = error_status(result)
    if status is None:
        if problems := contract.result_violations(result):
            return problems
        too_long = len(canonical(result)) > MAX_RESULT_BYTES
        return [f"the result has more than {MAX_RESULT_BYTES} bytes; return less"] if too_long else []
    message = result["error"]["message"]
    if status is not Status.TOOL_ERROR or not isinstance(message, str) or not 0 < len(message) <= 500:
        return ['a miss is {"error": {"status": "tool_error", "message": "no record of …"}}']
    return []


def _reply_schema(returns: dict[str, Any]) -> dict[str, Any]:
    if not returns:
        return {"type": "object"}
    definitions: dict[str, Any] = {key: returns[key] for key in ("$defs", "definitions") if key in returns}
    return {**definitions, "anyOf": [returns, MISS]}
