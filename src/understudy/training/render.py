"""Traces and turns as tokens of a model's own chat template, turn by turn, with the mask of what is learnt.

A conversation is built from pieces that are tokenised one by one: the prompt, then turns (sampled by a model, or taken
from a trace by SFT) and suffixes (what the template writes from the end of one turn to the start of the next). Pieces
are joined as token ids and never tokenised again. SFT and rollouts use the same functions, so what SFT shows is, token
for token, what a rollout yields when the model samples those turns.

Text from outside (questions, tool results, arguments) can't speak as another role: control tokens in it are broken up.

Here is the native form, in which the template itself writes tools, thoughts, calls and results. ``react.py`` has the
form for templates that can't, and ``models.make_renderer`` chooses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import orjson
from jinja2 import TemplateError

from understudy.agents.autoagent import Form
from understudy.contract import ToolContract
from understudy.errors import InputError
from understudy.grammar import fault, parse_turn
from understudy.messages import Message, observation_message, opening, turn_message
from understudy.schema import dumps
from understudy.trace import RESERVED, Call, Fault, Observation, ParseFault, Status, Step, Trace, Turn

MARK = "PLACEHOLDER"
_ASKED = opening("?")
_DATE = "26 Jul 2024"
"""What Llama's templates write as today's date: from the clock, no prompt would be the same on two days."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A trace as tokens. ``mask`` is aligned with ``completion``: 1 where the loss applies, only ever on turns."""

    prompt: list[int]
    completion: list[int]
    mask: list[int]

    @property
    def input_ids(self) -> list[int]:
        """Prompt and completion."""
        return self.prompt + self.completion

    @property
    def labels(self) -> list[int]:
        """``input_ids`` with -100 (ignored by the loss) wherever nothing is learnt."""
        learnt = [token if on else -100 for token, on in zip(self.completion, self.mask, strict=True)]
        return [-100] * len(self.prompt) + learnt


def template_text(name: str) -> str:
    """A chat template of this package, such as ``lab``."""
    return files(__package__).joinpath("templates", f"{name}.jinja").read_text(encoding="utf-8")


def is_learnt(step: Step) -> bool:
    """Whether SFT learns this turn: recoveries are worth learning, faults and calls that were refused are not."""
    return isinstance(step.turn, Turn) and all(seen.status is not Status.INVALID_CALL for seen in step.observations)


def _broken(token: re.Match[str]) -> str:
    return f"{token[0][0]} {token[0][1:]}"


class Renderer:
    """Messages and tools as tokens for one model.

    Args:
        tokenizer: a Hugging Face tokenizer.
        template: chat template (jinja text); None for the tokenizer's own.
        system: system message of every conversation; empty for none.

    Raises:
        InputError: there is no template, or it drops thoughts or calls, so that nothing could be learnt of them.

    Attributes:
        form: how tools are offered and turns written.
        prompts: SHA-256 by name, of the prompts it adds to the system message.
        end_id: token that ends a turn.
    """

    form = Form.NATIVE
    prompts: Mapping[str, str] = MappingProxyType({})

    def __init__(self, tokenizer: Any, template: str | None = None, system: str = "") -> None:
        self.tokenizer, self.system = tokenizer, system
        self.template = template or tokenizer.chat_template
        if not isinstance(self.template, str):
            raise InputError("the tokenizer has no chat template; name one in the configuration")
        special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special} - {*RESERVED}
        self._control = re.compile("|".join(map(re.escape, sorted({*special, *RESERVED}, key=len, reverse=True))))
        self._special = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))))
        self._generation = self._text(_ASKED, generate=True)
        # Newer templates open the thought in the prompt, so that sampled text starts inside of it.
        self._lead = "<think>" if self._generation.rstrip().endswith("<think>") else ""
        self._end = self._find_end(special)
        self.end_id: int = tokenizer.convert_tokens_to_ids(self._end)
        self._prompts: dict[tuple[str, bytes], list[int]] = {}
        self._require_all_kept()

    def prompt(self, question: str, toolset: Sequence[ToolContract]) -> list[int]:
        """Token ids up to where the first turn starts. Kept for the group that shares them."""
        key = (question, b"".join(contract.key() for contract in toolset))
        if key not in self._prompts:
            system, tools = self._offer(toolset)
            messages = opening(self.defuse(question), system)
            if len(self._prompts) >= 4096:
                self._prompts.clear()
            self._prompts[key] = self._encode(self._text(messages, tools, generate=True))
        return self._prompts[key]

    def turn(self, turn: Turn | ParseFault) -> list[int]:
        """Token ids of a turn, the end-of-turn token included: what a model samples when it says this."""
        if isinstance(turn, ParseFault):
            return [*self._encode(self._special.sub(_broken, turn.raw)), self.end_id]
        return self._encode(self._turn_text(turn))

    def suffix(self, observations: Sequence[Observation]) -> list[int]:
        """Token ids from after a turn's end token to where the next turn starts.

        They are what the template adds when these observations follow a turn.
        """
        text = self._text([*_ASKED, *self._exchange(observations)], generate=True)
        return self._encode(text[text.index(self._end, text.index(MARK)) + len(self._end) :])

    def parse(self, ids: Sequence[int], turn_index: int = 0) -> Turn | ParseFault:
        """Read a sampled turn. Without its end token it was cut off, and is a fault whatever it says."""
        complete = bool(ids) and ids[-1] == self.end_id
        text = self._lead + self.tokenizer.decode(
            ids[:-1] if complete else ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        if not complete:
            return fault(Fault.TRUNCATED, f"cut off after {len(ids)} tokens", text)
        return self._read(text, turn_index)

    def render(self, trace: Trace) -> Rendered:
        """A whole trace for SFT."""
        completion: list[int] = []
        mask: list[int] = []
        for index, step in enumerate(trace.steps):
            turn = self.turn(step.turn)
            completion += turn
            mask += [int(is_learnt(step))] * len(turn)
            if step.observations and index + 1 < len(trace.steps):
                between = self.suffix(step.observations)
                completion += between
                mask += [0] * len(between)
        return Rendered(self.prompt(trace.question, trace.toolset), completion, mask)

    def defuse(self, text: str) -> str:
        """Break control tokens and tags with a space, so that they are read as the text they are."""
        return self._control.sub(_broken, text)

    def _offer(self, toolset: Sequence[ToolContract]) -> tuple[str, list[Any] | None]:
        """The system message, and the tools that the template is to list."""
        return self.system, [orjson.loads(self.defuse(dumps(contract.to_openai()))) for contract in toolset]

    def _said(self, turn: Turn) -> Message:
        """The message of a turn."""
        return turn_message(turn)

    def _read(self, text: str, turn_index: int) -> Turn | ParseFault:
        """The turn of a sampled text."""
        turn = parse_turn(text, turn_index)
        if isinstance(turn, Turn) and turn.thought != (bare := turn.thought.strip("\n")):
            return turn.model_copy(update={"thought": bare})  # Qwen's templates set thoughts on lines of their own
        return turn

    def _exchange(self, observations: Sequence[Observation]) -> list[Message]:
        """A turn that holds ``MARK``, and what answers it.

        It is the call that asked for the observations, or plain text before the answer to a malformed turn.
        """
        calls = [Call(id=seen.call_id, name=seen.name, arguments={MARK: ""}) for seen in observations if seen.call_id]
        placeholder: Message = {"role": "assistant", "content": MARK}
        if calls:
            placeholder = turn_message(Turn(thought=MARK, calls=tuple(calls)))
        return [placeholder, *map(self._observation, observations)]

    def _turn_text(self, turn: Turn) -> str:
        said = {"thought": self.defuse(turn.thought), "answer": turn.answer and self.defuse(turn.answer)}
        calls = tuple(
            Call(id=call.id, name=self.defuse(call.name), arguments=orjson.loads(self.defuse(dumps(call.arguments))))
            for call in turn.calls
        )
        text = self._text([*_ASKED, self._said(turn.model_copy(update={**said, "calls": calls}))])
        if not text.startswith(self._generation):
            raise InputError("the chat template writes a turn differently from the prompt that it is sampled after")
        return text[len(self._generation) : text.rindex(self._end) + len(self._end)]

    def _observation(self, observation: Observation) -> Message:
        message = observation_message(observation)
        message["content"] = self.defuse(message["content"])
        return {**message, "result": orjson.loads(message["content"])}

    def _text(self, messages: Sequence[Message], tools: list[Any] | None = None, generate: bool = False) -> str:
        try:
            text: str = self.tokenizer.apply_chat_template(
                list(messages),
                tools=tools,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=generate,
                date_string=_DATE,
            )
        except TemplateError as error:
            raise InputError(f"the chat template refuses this conversation: {error}") from None
        return text

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _find_end(self, special: set[str]) -> str:
        """The token that closes a turn: the first control token after an assistant's text."""
        tail = self._text([*_ASKED, {"role": "assistant", "content": MARK}]).partition(MARK)[2]
        found = min((token for token in special if token in tail), key=tail.index, default="")
        if not found:
            raise InputError("the chat template ends a turn with no control token; the model couldn't learn to stop")
        return found

    def _require_all_kept(self) -> None:
        calls = tuple(Call(id=f"call_0_{at}", name="tool", arguments={"key": f"{MARK} {at}"}) for at in (0, 1))
        for turn in (Turn(thought=MARK, calls=calls), Turn(thought=MARK, answer="yes")):
            if self.parse(self.turn(turn)) != turn:
                raise InputError("the chat template drops thoughts or parallel calls")
