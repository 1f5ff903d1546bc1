"""Controls: what a score is worth. Doing nothing must score 0; without tools, a policy should be down to guessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from understudy.contract import ToolContract
from understudy.errors import ToolError
from understudy.metric import Metric, mean
from understudy.protocols import Sample
from understudy.scoring import normalize
from understudy.task import Task
from understudy.trace import Call, Fault, Observation, ParseFault, Source, Tokens
from understudy.world import World


class NoOp:
    """The policy that calls and answers nothing. Whatever it scores above 0 is a defect of tasks or scorer."""

    name = "no-op"

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> NoOp:
        """A session without state: the policy itself."""
        return self

    async def step(self, observations: Sequence[Observation]) -> Sample:
        """Say nothing."""
        return Sample(ParseFault(fault=Fault.EMPTY, detail="the no-op policy says nothing"))

    def tokens(self) -> Tokens | None:
        """It has none."""
        return None

    def close(self) -> None:
        """Nothing to give back."""


class NoTools:
    """The source behind an empty toolset. Results name it, so that a score without tools is never mistaken."""

    name = "none"

    def source_of(self, contract: ToolContract) -> Source:
        """Live, as far as there is anything: nothing is simulated."""
        return Source.LIVE

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        """Refuse: no contract is offered, so the loop answers every call before it comes here."""
        raise ToolError("no tools are offered")


def without_tools(tasks: Sequence[Task]) -> dict[str, tuple[ToolContract, ...]]:
    """The toolsets of the no-tools control: the same questions, nothing offered."""
    return {task.id: () for task in tasks}


def blind_guess(task: Task) -> float:
    """Probability of guessing right from the question alone.

    1/2 where the answer is yes or no, or is named in the question (as one of two, in a comparison); else 0.
    """
    question = f" {normalize(task.question)} "
    answers = {normalize(answer) for answer in task.answers} - {""}
    return 0.5 if answers & {"yes", "no"} or any(f" {answer} " in question for answer in answers) else 0.0


def chance_level(tasks: Sequence[Task], guess: Callable[[Task], float] = blind_guess, seed: int = 0) -> Metric:
    """Expected EM of a guesser on these questions: the level that a policy without tools should not exceed.

    Args:
        tasks: the questions.
        guess: task → probability of guessing its answer right.
        seed: of the bootstrap interval over questions.
    """
    return mean([guess(task) for task in tasks], seed)
