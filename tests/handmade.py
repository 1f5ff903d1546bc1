"""Traces written by hand: a question, steps of (tool, arguments, content), an answer."""

from __future__ import annotations

from typing import Any

from understudy.contract import ToolContract
from understudy.task import Task
from understudy.trace import (
    Call,
    Observation,
    ParseFault,
    Provenance,
    Source,
    Status,
    Step,
    Stop,
    Trace,
    Turn,
    error_status,
)

Made = tuple[str, dict[str, Any], Any]

TASK = Task(
    id="t1",
    question="When was the director of Night Tide born?",
    answers=("6 March 1926", "1926"),
    hops=2,
)
DIRECTOR: Made = ("get_director", {"film": "Night Tide"}, {"director": "Curtis Harrington"})
BORN: Made = ("get_date_of_birth", {"person": "Curtis Harrington"}, {"date_of_birth": "6 March 1926"})


def contract(name: str, *arguments: str, returns: str = "") -> ToolContract:
    properties = {argument: {"type": "string"} for argument in arguments}
    results = {"type": "object", "properties": {returns: {"type": "string"}}, "required": [returns]} if returns else {}
    return ToolContract(
        name=name,
        description=f"Look up: {name.replace('_', ' ')}.",
        parameters={"type": "object", "properties": properties, "required": list(arguments)},
        returns=results,
    )


TOOLSET = (
    contract("get_director", "film", returns="director"),
    contract("get_date_of_birth", "person", returns="date_of_birth"),
    ToolContract(
        name="calculator",
        description="Compute.",
        parameters={"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
    ),
)


def observe(made: Made, position: int = 0, source: Source = Source.SIMULATED) -> tuple[Call, Observation]:
    name, arguments, content = made
    source = Source.UTILITY if name == "calculator" else source
    call = Call(id=f"call_{position}", name=name, arguments=arguments)
    status = error_status(content) or Status.OK
    return call, Observation(call_id=call.id, name=name, content=content, status=status, source=source)


def failed(made: Made, status: Status, message: str = "no record") -> Made:
    return (*made[:2], {"error": {"status": status.value, "message": message}})


def trace(
    *steps: Made | list[Made] | str | ParseFault,
    answer: str | None = "6 March 1926",
    question: str = TASK.question,
    thought: str = "",
    stop: Stop | None = None,
    toolset: tuple[ToolContract, ...] = TOOLSET,
    source: Source = Source.SIMULATED,
) -> Trace:
    """A step is one call, a list of parallel calls, a fault, or a string: the thought of the call that follows."""
    made: list[Step] = []
    saying = ""
    for step in steps:
        if isinstance(step, str):
            saying = step
        elif isinstance(step, ParseFault):
            error = Observation.error("", "", Status.INVALID_CALL, step.detail, Source.LOOP)
            made.append(Step(turn=step, observations=(error,)))
        else:
            both = [observe(one, n, source) for n, one in enumerate(step if isinstance(step, list) else [step])]
            turn = Turn(thought=saying, calls=tuple(call for call, _ in both))
            made.append(Step(turn=turn, observations=tuple(observation for _, observation in both)))
            saying = ""
    if answer is not None:
        made.append(Step(turn=Turn(thought=thought, answer=answer)))
    return Trace(
        task_id=TASK.id,
        question=question,
        toolset=toolset,
        world_id="w",
        steps=tuple(made),
        stop=stop or (Stop.MAX_TURNS if answer is None else Stop.ANSWERED),
        provenance=Provenance(policy="p", tools="t"),
    )
