"""A rollout told on the terminal while it happens.

What is told comes from models and tools, so nothing of it is trusted: markup is not read, and characters that could
steer a terminal are written out. A text's further lines are indented, so that none of them passes for a line of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from understudy.contract import ToolContract
from understudy.protocols import Policy, Prompted, Sample, Session
from understudy.schema import dumps
from understudy.task import Task
from understudy.trace import Observation, ParseFault, Status, Tokens, Turn

LABEL = 10
"""Width of the column that says what a line is."""
MOST = 1_000
"""Characters that are shown of one call, result or malformed turn. The trace has all of them."""


class Watched:
    """A ``Policy`` that decides as another one does; what it says and is told appears on a console.

    A turn appears before its calls are made, their results once all of them are there.

    Args:
        policy: who decides.
        console: where to.
    """

    def __init__(self, policy: Policy, console: Console) -> None:
        self._policy, self._console = policy, console
        self.name = policy.name

    @property
    def prompts(self) -> Mapping[str, str]:
        """Those of the policy behind it."""
        return self._policy.prompts if isinstance(self._policy, Prompted) else {}

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> WatchedSession:
        """Start a rollout of the policy behind it."""
        return WatchedSession(self._policy.open(task, toolset, seed), self._console)


class WatchedSession:
    """One rollout that is watched."""

    def __init__(self, session: Session, console: Console) -> None:
        self._session, self._console = session, console

    async def step(self, observations: Sequence[Observation]) -> Sample:
        """Show what the policy is told, then the turn that it gives."""
        for seen in observations:
            label, style = ("result", "green") if seen.status is Status.OK else ("error", "red")
            named = f"{seen.name}: " if seen.name else ""
            tell(self._console, label, clipped(named + dumps(seen.content)), style)
        sample = await self._session.step(observations)
        _tell_turn(self._console, sample.outcome)
        return sample

    def tokens(self) -> Tokens | None:
        """Those of the session behind it."""
        return self._session.tokens()

    def close(self) -> None:
        """Close the session behind it."""
        self._session.close()


def tell(console: Console, label: str, text: str, style: str = "") -> None:
    """Print a text of any origin, behind a word that says what it is."""
    shown = plain(text).replace("\n", "\n" + " " * LABEL)
    console.print(Text.assemble((f"{label:{LABEL}}", "bold"), (shown, style)), soft_wrap=True)


def plain(text: str) -> str:
    """The text with everything unseen but spaces and line breaks written out, in the escapes of Python's strings."""
    # Of spaces, str.isprintable() counts the common one alone; the others do no harm and occur in good prose.
    return "".join(
        char if char.isprintable() or char in "\n\xa0\u202f\u3000" else char.encode("unicode_escape").decode()
        for char in text
    )


def clipped(text: str) -> str:
    """The text, or its beginning and how much is left out."""
    return text if len(text) <= MOST else f"{text[:MOST]}… ({len(text) - MOST:,} more characters)"


def _tell_turn(console: Console, turn: Turn | ParseFault) -> None:
    if isinstance(turn, ParseFault):
        tell(console, "malformed", clipped(f"{turn.detail}: {turn.raw}" if turn.raw else turn.detail), "red")
        return
    if turn.thought:
        tell(console, "thought", turn.thought, "dim")
    for call in turn.calls:
        tell(console, "call", clipped(f"{call.name} {dumps(call.arguments)}"), "cyan")
    if turn.answer is not None:
        tell(console, "answer", turn.answer, "bold")
