"""Plain-text ReAct for models whose chat template drops thoughts or calls, such as Llama 3, 3.1 and 3.2.

The template writes roles and nothing else. Tools are listed in the system message, turns are ``Thought``, ``Action``,
``Action Input`` and ``Final Answer``, and all results of a turn come back as one user message of ``Observation`` lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from understudy.agents.autoagent import Form
from understudy.agents.prompt import load
from understudy.contract import ToolContract
from understudy.errors import InputError
from understudy.grammar import parse_react, write_observations, write_react, write_tools
from understudy.messages import Message, opening
from understudy.trace import Observation, ParseFault, Turn
from understudy.training.render import MARK, Renderer

_PROMPT = load("react")


class ReactRenderer(Renderer):
    """A renderer that needs of the chat template no more than roles; all else of ``Renderer`` holds.

    White space around thoughts, names and answers is lost, as templates and the grammar trim it.

    Raises:
        InputError: there is no template, or it drops plain text or system messages, or opens the thought by itself.
    """

    form = Form.REACT
    prompts = MappingProxyType({_PROMPT.name: _PROMPT.sha256})

    def __init__(self, tokenizer: Any, template: str | None = None, system: str = "") -> None:
        super().__init__(tokenizer, template, system)
        if MARK not in self._text(opening("?", MARK)):
            raise InputError("the chat template drops system messages, where tools would be listed")

    def _offer(self, toolset: Sequence[ToolContract]) -> tuple[str, list[Any] | None]:
        offered = _PROMPT.text.replace("{{tools}}", self.defuse(write_tools(toolset)))
        return f"{self.system}\n\n{offered}" if self.system else offered, None

    def _said(self, turn: Turn) -> Message:
        return {"role": "assistant", "content": write_react(turn)}

    def _read(self, text: str, turn_index: int) -> Turn | ParseFault:
        return parse_react(text, turn_index)

    def _exchange(self, observations: Sequence[Observation]) -> list[Message]:
        content = self.defuse(write_observations(observations))
        return [{"role": "assistant", "content": MARK}, {"role": "user", "content": content}]
