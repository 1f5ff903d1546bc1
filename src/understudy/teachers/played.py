"""A session that is played by a generator: it yields turns, and is sent what the calls of each gave."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from understudy.contract import ToolContract
from understudy.errors import ModelError
from understudy.grammar import build_turn, call_id
from understudy.protocols import Sample
from understudy.search.tools import SEARCH
from understudy.trace import Call, Observation, ParseFault, Status, Tokens, Turn

Play = Generator[Turn | ParseFault, Sequence[Observation], None]


class Played:
    """One rollout of a policy that is written as a generator.

    Args:
        play: yields one turn after the other; the last one answers.
    """

    def __init__(self, play: Play) -> None:
        self._play = play
        self._started = False

    async def step(self, observations: Sequence[Observation]) -> Sample:
        """The next turn.

        Raises:
            ModelError: there is none.
        """
        try:
            turn = self._play.send(observations) if self._started else next(self._play)
        except StopIteration:
            raise ModelError("the policy has nothing more to say") from None
        self._started = True
        return Sample(turn)

    def tokens(self) -> Tokens | None:
        """None: nothing was sampled."""
        return None

    def close(self) -> None:
        """Nothing is held."""


def require_search(toolset: Sequence[ToolContract]) -> None:
    """Raise ModelError unless ``SEARCH`` is offered."""
    if SEARCH.name not in {contract.name for contract in toolset}:
        raise ModelError("the toolset has no search")


def answering(answer: str, thought: str = "") -> Turn | ParseFault:
    """A turn that answers; a fault where what is answered breaks the grammar, as text from anywhere may."""
    return build_turn(thought, [], answer, answer)


def searching(turn: int, thought: str, queries: Sequence[str]) -> Turn:
    """A turn that searches for all of ``queries`` at once."""
    calls = tuple(
        Call(id=call_id(turn, index), name=SEARCH.name, arguments={"query": query[:1000]})
        for index, query in enumerate(queries)
    )
    return Turn(thought=thought, calls=calls)


def passages(observations: Sequence[Observation]) -> list[tuple[str, str]]:
    """Title and text of what searches found, best first, each passage once."""
    found = [
        (result["title"], result["text"])
        for observation in observations
        if observation.status is Status.OK
        for result in observation.content["results"]
    ]
    return list(dict.fromkeys(found))
