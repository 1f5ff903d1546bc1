"""Controls: what a score is worth. Doing nothing must score 0; without tools, a policy should be down to guessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from understudy.agents.autoagent import AutoAgent
from understudy.agents.prompt import load
from understudy.contract import ToolContract
from understudy.errors import ToolError
from understudy.evaluation.result import Result
from understudy.llm.protocol import ChatModel
from understudy.metric import Metric, mean
from understudy.noun import Noun
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


class AskedDirectly(AutoAgent):
    """A chat model that answers from what it knows. Asked of a simulator, it says how much of a score is that."""

    def __init__(self, model: ChatModel, max_tokens: int) -> None:
        super().__init__(model, temperature=0.0, max_tokens=max_tokens)
        self.name = f"direct:{model.name}"
        self._prompt = load("direct")
        self.prompts = {self._prompt.name: self._prompt.sha256}


class Control(Noun):
    """A result to hold beside the one that is reported, on the same questions."""

    policy: str
    tools: str
    em: Metric
    f1: Metric

    @classmethod
    def of(cls, result: Result) -> Control:
        """The figures of a result."""
        return cls(policy=result.policy, tools=result.tools, em=result.em, f1=result.f1)


class Controls(Noun):
    """What a score is worth.

    ``noop`` must have an EM of 0. ``no_tools`` is the same policy with nothing offered (None where the result itself is
    that). ``simulator`` is the simulator's model asked directly (None where no model plays the tools). ``chance`` is
    what guessing from the question gives.
    """

    noop: Control
    no_tools: Control | None
    simulator: Control | None
    chance: Metric


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
