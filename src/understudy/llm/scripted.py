"""A chat model that replays what it was given: for tests, examples, and runs that must not depend on a model."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable

from understudy.errors import ModelError
from understudy.llm.protocol import ChatReply, ChatRequest
from understudy.messages import Message

Line = ChatReply | Message | str | Exception
"""One reply: whole, as a message, as content alone, or an error to raise."""

Script = Iterable[Line] | Callable[[ChatRequest], Line | Awaitable[Line]]


class ScriptedChat:
    """Answers from a script.

    Args:
        script: replies in the order of requests, or a function of the request (plain or async).
        name: how provenance names it.

    Attributes:
        requests: every request so far, in order of arrival.
    """

    def __init__(self, script: Script, name: str = "scripted") -> None:
        self.name = name
        self.requests: list[ChatRequest] = []
        self._function = script if callable(script) else None
        self._lines = iter(() if callable(script) else script)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Give the next reply of the script.

        Raises:
            ModelError: the script has ended, or says so.
        """
        self.requests.append(request)
        if self._function is None:
            line = next(self._lines, ModelError(f"the script of {self.name} has no reply {len(self.requests)}"))
        else:
            given = self._function(request)
            line = await given if inspect.isawaitable(given) else given
        if isinstance(line, Exception):
            raise line
        if isinstance(line, ChatReply):
            return line
        message: Message = {"role": "assistant", "content": line} if isinstance(line, str) else line
        return ChatReply(message=message, finish_reason="tool_calls" if message.get("tool_calls") else "stop")
