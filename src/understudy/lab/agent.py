"""The scripted teacher as AutoAgent: look-ups along the plan of the question, then the answer.

It makes one look-up per turn or, where it is told to, one on each path at once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from understudy.grammar import call_id, write_react
from understudy.lab.conversation import Conversation, Made, Offered
from understudy.lab.known import NUMBER, Known
from understudy.lab.mistakes import Mistakes, mistaken
from understudy.lab.parsing import parse
from understudy.lab.plans import Op, Path, Plan
from understudy.lab.relations import ORDERS, relations
from understudy.messages import Message, turn_message
from understudy.schema import dumps
from understudy.trace import Call, Turn

UNKNOWN = "unknown"
ORDERED = (Op.LESS, Op.MORE)
EXPRESSIONS = {Op.LESS: "min({}, {})", Op.MORE: "max({}, {})", Op.DIFFERENCE: "abs({} - {})", Op.SUM: "{} + {}"}
"""What the calculator is asked."""
GOALS = {Op.SAME: "the same?", Op.DIFFERENCE: "difference", Op.SUM: "sum"}
"""What the values are wanted for; comparisons say which way, as the question does."""


class Flaw(StrEnum):
    """What is malformed about a call."""

    JSON = "json"
    PARAMETER = "parameter"
    TOOL = "tool"


@dataclass(frozen=True)
class _Move:
    """What to do next: call a tool, or answer."""

    thought: str
    tool: Offered | None = None
    argument: str = ""
    answer: str = ""
    flaw: Flaw | None = None
    beside: _Move | None = None
    """Another call of the same turn."""


def reply(seen: Conversation, mistakes: Mistakes, at_once: bool, rng: random.Random) -> Message:
    """The agent's next message, native or ReAct as the conversation is.

    Args:
        seen: the conversation so far.
        mistakes: how often to err.
        at_once: whether turns that could make two look-ups do.
        rng: of mistakes and guesses; seeded by the turn.
    """
    plan = parse(seen.question)
    move = (
        _Agent(seen, plan, mistakes, at_once, rng).move()
        if plan
        else _Move("I can't read this question.", answer=UNKNOWN)
    )
    return _react_message(move) if seen.react else _native_message(move, seen.turn)


class _Agent:
    def __init__(self, seen: Conversation, plan: Plan, mistakes: Mistakes, at_once: bool, rng: random.Random) -> None:
        self._plan, self._mistakes, self._at_once, self._rng = plan, mistakes, at_once, rng
        self._lookups = [tool for tool in seen.tools if not (tool.searches or tool.calculates)]
        self._search = next((tool for tool in seen.tools if tool.searches), None)
        self._calculator = next((tool for tool in seen.tools if tool.calculates), None)
        self._passed: list[str] = []
        self._known = Known()
        tools = {tool.name: tool for tool in seen.tools}
        for made in seen.made:
            self._known.learn(made, tools.get(made.name))
        last = [made for made in seen.made if made.turn == seen.made[-1].turn]
        self._told = [self._told_by(made, tools.get(made.name)) for made in last]

    def _told_by(self, made: Made, tool: Offered | None) -> tuple[str, str] | None:
        """Relation and subject (case-folded) of what a look-up told, if it was needed."""
        if tool is None or tool.searches or tool.named[:1] == () or tool.named[0] not in self._plan.relations:
            return None
        fact = tool.named[0], str(made.arguments.get(tool.parameter, "")).casefold()
        return fact if self._known.values.get(fact) else None

    def move(self) -> _Move:
        ends = []
        for number, path in enumerate(self._plan.paths):
            end = self._walk(path)
            if isinstance(end, _Move):
                return self._look_up(end, self._plan.paths[number + 1 :])
            if end is None:
                return _Move("The tools have no record of it.", answer=self._guess())
            ends.append(end)
        if self._plan.op is Op.VALUE:
            return self._conclude(self._state(), ends[0])
        if self._plan.op is Op.SAME:
            answer = self._plan.conclude(ends)
            return self._conclude(f"{self._state()} {ends[1]}, {ends[0]}: {answer}", answer)
        return self._compute(ends)

    def _state(self) -> str:
        """Where the work stands: of what something is still to be looked up, and what for.

        Every thought says all of it, so that the next step follows from the last thought alone. What has just been told
        is read aloud, what it is about first: in a list of records, that is how the right one is found. Whether two
        things are the same is asked beside the second one: of two that stood apart, the wrong one was compared.
        """
        parts = [self._part(path) for path in self._plan.paths]
        if self._plan.op is Op.SAME and parts[0] == self._names(self._plan.paths[0])[-1]:
            return f"{parts[1]}; the same as {parts[0]}?"
        return "; ".join([*parts, *_goal(self._plan)])

    def _part(self, path: Path) -> str:
        """Where one path stands. Where the answer is a start, it is kept, behind the value that will tell of it."""
        *before, here = self._names(path)
        done, read = len(before), ""
        if done and (path.relations[done - 1], before[-1].casefold()) in self._told:
            read = f"{before[-1]}'s {relations()[path.relations[done - 1]].noun} is "
        left = [relations()[name].noun for name in path.relations[done:]]
        named = read and left and before[-1] == path.start  # the sentence read aloud begins with it
        kept = self._plan.op in ORDERED and done > 0 and not named
        return f"{read}{here}{f' {path.start}' if kept else ''}{': ' if left else ''}{', '.join(left)}"

    def _names(self, path: Path) -> list[str]:
        """Where a path starts, and what each of its look-ups led to, as far as that is known."""
        names = [path.start]
        for relation in path.relations:
            if (value := self._known.values.get((relation, names[-1].casefold()))) is None:
                break
            names.append(value)
        return names

    def _walk(self, path: Path) -> str | _Move | None:
        """Follow a path through what is known: its end, the look-up that is missing, or None where there is none."""
        *before, here = self._names(path)
        if before:
            self._passed += [*before[1:], here]
        return here if len(before) == len(path.relations) else self._seek(path.relations[len(before)], here)

    def _seek(self, relation: str, here: str) -> _Move | None:
        tool = next((tool for tool in self._lookups if tool.named[:1] == (relation,)), None)
        tool = tool or next((tool for tool in self._lookups if relation in (*tool.named, *tool.described)), None)
        if tool is not None and (relation, here.casefold()) not in self._known.values:
            return _Move(self._state(), tool, here)
        noun = relations()[relation].noun
        query = f"{noun} of {here}"
        if self._search is not None and query not in self._known.searched:
            return _Move(f"I search for the {noun}.", self._search, query)
        return None

    def _look_up(self, move: _Move, later: Sequence[Path]) -> _Move:
        """The look-up or a mistake in its place; at once, with the next one of another path."""
        if move.tool is self._search:
            return move
        for path in later if self._at_once else ():
            other = self._walk(path)
            if isinstance(other, _Move) and other.tool is not self._search:
                move = replace(move, beside=other)
        return self._err(move)

    def _compute(self, ends: list[str]) -> _Move:
        numbers = [found.group().replace(",", "") for end in ends if (found := NUMBER.search(end))]
        if len(numbers) < len(ends):
            return _Move("These are no numbers.", answer=self._guess())
        expression = EXPRESSIONS[self._plan.op].format(*numbers)
        if self._calculator is not None and expression not in self._known.computed:
            return _Move(self._state(), self._calculator, expression)
        answer = self._plan.conclude(numbers)
        result = self._known.computed.get(expression)
        if result is None:
            return self._conclude("I work it out.", answer)
        return self._conclude(f"{result} {answer}" if self._plan.offers_answers else result, answer)

    def _conclude(self, thought: str, answer: str) -> _Move:
        if self._rng.random() < self._mistakes.wrong_answer:
            answer = self._wrong(answer)
        return _Move(thought, answer=answer)

    def _wrong(self, answer: str) -> str:
        if self._plan.op is Op.SAME:
            return "no" if answer == "yes" else "yes"
        if self._plan.offers_answers:
            return next(path.start for path in self._plan.paths if path.start != answer)
        others = [value for value in self._passed if value != answer]
        return self._rng.choice(others) if others else mistaken(answer)

    def _guess(self) -> str:
        """An answer from what little is known."""
        if self._plan.op is Op.SAME:
            return self._rng.choice(("yes", "no"))
        if self._plan.offers_answers:
            return self._rng.choice(self._plan.paths).start
        return self._passed[-1] if self._passed else UNKNOWN

    def _err(self, move: _Move) -> _Move:
        """The move, or a mistake in its place."""
        rates, drawn = self._mistakes, self._rng.random()
        for rate, err in (
            (rates.wrong_tool, self._take_wrong_tool),
            (rates.malformed, self._malform),
            (rates.misspelt, self._misspell),
            (rates.premature, lambda move: _Move("This should do.", answer=self._guess())),
        ):
            if drawn < rate:
                return err(move)
            drawn -= rate
        return move

    def _take_wrong_tool(self, move: _Move) -> _Move:
        others = [tool for tool in self._lookups if tool is not move.tool and tool.named]
        if not others:
            return move
        return replace(move, tool=self._rng.choice(others))

    def _malform(self, move: _Move) -> _Move:
        return replace(move, flaw=self._rng.choice(list(Flaw)))

    def _misspell(self, move: _Move) -> _Move:
        text = move.argument
        places = [at for at in range(1, len(text) - 1) if text[at] != text[at + 1]]
        if not places:
            return move
        at = self._rng.choice(places)
        return replace(move, argument=f"{text[:at]}{text[at + 1]}{text[at]}{text[at + 2 :]}")


def _goal(plan: Plan) -> list[str]:
    """What the values are wanted for, unless they are the answer."""
    if plan.op in ORDERED:
        return [f"{ORDERS[relations()[plan.relations[-1]].to][plan.op is Op.MORE]}?"]
    return [GOALS[plan.op]] if plan.op in GOALS else []


def _calls(move: _Move, turn: int) -> tuple[Call, ...]:
    moves = [move] if move.beside is None else [move, move.beside]
    return tuple(_call(move, move.tool, turn, at) for at, move in enumerate(moves) if move.tool is not None)


def _call(move: _Move, tool: Offered, turn: int, at: int) -> Call:
    name = f"{tool.name}_" if move.flaw is Flaw.TOOL else tool.name
    parameter = f"{tool.parameter}_" if move.flaw is Flaw.PARAMETER else tool.parameter
    return Call(id=call_id(turn, at), name=name, arguments={parameter: move.argument})


def _native_message(move: _Move, turn: int) -> Message:
    if move.tool is None:
        return turn_message(Turn(thought=move.thought, answer=move.answer))
    message = turn_message(Turn(thought=move.thought, calls=_calls(move, turn)))
    for call in message["tool_calls"]:
        text = dumps(call["function"]["arguments"])
        call["function"]["arguments"] = text[:-2] if move.flaw is Flaw.JSON else text
    return message


def _react_message(move: _Move) -> Message:
    if move.tool is None:
        return {"role": "assistant", "content": write_react(Turn(thought=move.thought, answer=move.answer))}
    text = write_react(Turn(thought=move.thought, calls=_calls(move, 0)))
    return {"role": "assistant", "content": text[:-2] if move.flaw is Flaw.JSON else text}
