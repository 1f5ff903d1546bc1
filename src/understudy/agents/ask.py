"""How every agent asks a chat model for one JSON value: parse, check, and repair within bounds.

The user message is one JSON object with a ``problems`` key: empty at first, afterwards the reasons why the previous
reply was refused. Models are untrusted, so whatever they reply ends as a valid value or as a ``ModelError``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from understudy.agents.prompt import Prompt
from understudy.errors import ModelError
from understudy.llm.protocol import ChatModel, ChatReply, ChatRequest
from understudy.schema import MAX_VALUE_BYTES, dumps
from understudy.seed import derive_seed

MAX_PROBLEMS = 8


async def ask(
    model: ChatModel,
    prompt: Prompt,
    payload: dict[str, Any],
    schema: dict[str, Any],
    check: Callable[[Any], list[str]],
    attempts: int,
    seed: int,
    temperature: float = 0.0,
) -> Any:
    """Ask until ``check`` finds nothing wrong with the value.

    Args:
        model: who is asked.
        prompt: the system message; its name is the role of the request.
        payload: the user message, to which ``problems`` is added.
        schema: what an endpoint with structured output is asked to enforce. Not all do, and none is trusted.
        check: judges any JSON value: one-line problems that the model can act on, none if it is good.
        attempts: requests at most, at least 1.
        seed: each attempt derives its own from it.
        temperature: of every attempt.

    Returns:
        The value.

    Raises:
        ModelError: no attempt was accepted; the line names the last problems.
    """
    problems: list[str] = []
    for attempt in range(attempts):
        request = ChatRequest(
            role=prompt.name,
            messages=(
                {"role": "system", "content": prompt.text},
                {"role": "user", "content": dumps({**payload, "problems": problems})},
            ),
            response_schema=schema,
            temperature=temperature,
            seed=derive_seed(seed, attempt),
        )
        reply = await model.complete(request)
        value, problems = _read(reply)
        problems = problems or check(value)
        if not problems:
            return value
        problems = [" ".join(problem.split())[:300] for problem in problems[:MAX_PROBLEMS]]
    raise ModelError(f"{prompt.name}: no usable reply in {attempts} attempts: {'; '.join(problems)[:500]}")


def _read(reply: ChatReply) -> tuple[Any, list[str]]:
    """The JSON value of a reply, which may stand after a thought, between fences, or in prose."""
    if reply.finish_reason == "length":
        return None, ["the reply was cut off at the token limit; write less"]
    text = reply.content.rpartition("</think>")[2].strip()
    if len(text) > MAX_VALUE_BYTES:
        return None, [f"the reply has {len(text)} characters; write less"]
    for candidate in (text, text[text.find("{") : text.rfind("}") + 1]):
        try:
            return orjson.loads(candidate), []
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            continue
    return None, ["the reply is not one JSON object"]
