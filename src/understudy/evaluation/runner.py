"""Evaluation of any policy on tasks with any source of tools: the loop, once per question, and the score of each trace.

Questions run at bounded concurrency without a barrier: a slow one delays nobody. The result depends on the seed alone,
not on concurrency or order of arrival. Records can be written as they come; a killed run resumes from what is complete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import orjson
from pydantic import ValidationError

from understudy.contract import ToolContract, first_problem
from understudy.errors import InputError
from understudy.evaluation.pool import for_each
from understudy.evaluation.result import Record, Result, record, summarise
from understudy.jsonl import JsonlWriter, read_jsonl
from understudy.protocols import Policy, Prompted, ToolSource
from understudy.rollout import Limits, derive_seed, rollout
from understudy.scoring import Rule
from understudy.task import Task
from understudy.trace import Provenance, Stop, Trace
from understudy.world import World

_SYNC_EVERY = 32  # a kill loses nothing, a power cut at most this many records


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an evaluation is: questions done, of how many, and how many of the done ones were right."""

    done: int
    total: int
    correct: int


async def evaluate(
    tasks: Sequence[Task],
    toolsets: Mapping[str, Sequence[ToolContract]],
    worlds: Mapping[str, World] | None,
    policy: Policy,
    tools: ToolSource,
    limits: Limits,
    seed: int = 0,
    *,
    concurrency: int = 64,
    rule: Rule = Rule.WIKI2,
    keep_traces: bool = True,
    records: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    unready: Mapping[str, str] = MappingProxyType({}),
) -> Result:
    """Run a policy on every task once and score it.

    Args:
        tasks: the questions, ids unique.
        toolsets: task id → the contracts offered; an empty sequence offers none.
        worlds: task id → its world; None gives each task an empty one, which is all that live tools need.
        policy: who is evaluated. Records are told apart by its name, so a name should name the weights.
        tools: who answers calls.
        limits: of each rollout.
        seed: of the evaluation; every rollout's own seed derives from it and the task id.
        concurrency: rollouts at a time.
        rule: whose script scores.
        keep_traces: keep each trace in its record (diagnosis and example traces need them).
        records: a JSONL file that gets each record as it comes.
        resume: go on from the records in that file; without it the file must not hold any.
        on_progress: called after each question.
        unready: task id → why no toolset or world could be made for it. Such a question is not asked; it counts as lost
            to the simulator.

    Raises:
        InputError: task ids repeat, a toolset or world is missing, ``records`` is of another run, or the disk fails.
    """
    if len({task.id for task in tasks}) != len(tasks):
        raise InputError("evaluation: task ids must be unique")
    homes = {task.id: World(task.id) for task in tasks} if worlds is None else worlds
    for what, given in (("toolset", toolsets), ("world", homes)):
        if (missing := next((task.id for task in tasks if task.id not in given), None)) is not None:
            raise InputError(f"evaluation: task {missing!r} has no {what}")
    prompts = [dict(plug.prompts) if isinstance(plug, Prompted) else {} for plug in (policy, tools)]
    run = [policy.name, tools.name, prompts, limits.model_dump(), rule, seed, keep_traces]
    keys = {task.id: _key(run, task, toolsets[task.id], homes[task.id]) for task in tasks}
    done = _earlier(records, keys, resume) if records else {}

    with ExitStack() as open_files:
        writer = open_files.enter_context(JsonlWriter(records, _SYNC_EVERY)) if records else None
        owed = [task for task in tasks if task.id not in done]
        correct = sum(known.em for known in done.values())

        async def ask(task: Task) -> None:
            nonlocal correct
            own_seed = derive_seed(seed, task.id)
            if (why := unready.get(task.id)) is not None:
                trace = _unasked(task, homes[task.id], policy, tools, own_seed, why)
            else:
                trace = await rollout(task, toolsets[task.id], homes[task.id], policy, tools, limits, own_seed)
            done[task.id] = record(task, trace, rule, keys[task.id], keep_traces)
            correct += done[task.id].em
            if writer:
                writer.write(done[task.id].model_dump(mode="json"))
            if on_progress:
                on_progress(Progress(len(done), len(tasks), correct))

        await for_each(owed, ask, concurrency)

    facts = "+".join(sorted({homes[task.id].facts_from.value for task in tasks})) or "none"
    return summarise(list(done.values()), policy=policy.name, tools=tools.name, facts=facts, rule=rule, seed=seed)


def _unasked(task: Task, world: World, policy: Policy, tools: ToolSource, seed: int, why: str) -> Trace:
    """The trace of a question that could not be asked."""
    return Trace(
        task_id=task.id,
        question=task.question,
        toolset=(),
        world_id=world.id,
        steps=(),
        stop=Stop.SIMULATOR_FAILURE,
        detail=why,
        provenance=Provenance(policy=policy.name, tools=tools.name, facts=world.facts_from.value, seed=seed),
    )


def _key(run: list[object], task: Task, toolset: Sequence[ToolContract], world: World) -> str:
    """Identity of one record: equal when all that determines it is; policy and tools go by name and prompts."""
    question = [task.id, task.question, task.answers, task.kind, task.hops]
    contracts = [contract.model_dump() for contract in toolset]
    content = orjson.dumps([run, question, contracts, world.id], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()[:16]


def _earlier(path: Path, keys: Mapping[str, str], resume: bool) -> dict[str, Record]:
    """The records of an earlier run of the same evaluation, by task id."""
    if not path.exists() or path.stat().st_size == 0:
        return {}
    if not resume:
        raise InputError(f"{path}: holds the records of an earlier run; resume it or choose another folder")
    earlier: dict[str, Record] = {}
    for line in read_jsonl(path):
        try:
            known = Record.model_validate(line)
        except ValidationError as error:
            raise InputError(f"{path}: not an evaluation record ({first_problem(error)})") from None
        if keys.get(known.task_id) != known.key:
            raise InputError(
                f"{path}: the record of task {known.task_id!r} is from another run (policy, tools, questions, "
                "limits, scorer or seed differ); choose another folder"
            )
        earlier[known.task_id] = known
    return earlier
