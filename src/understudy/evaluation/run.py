"""A whole evaluation from its configuration: questions, tools, policy, score, controls, manifest.

The folder of a run holds ``manifest.json`` (the configuration, resolved and pinned), ``prepared.jsonl`` (tools and
worlds that a model made), ``requests.jsonl`` (what simulation cost), ``records.jsonl``, ``controls/`` and, once all is
done, ``result.json``. A killed run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import understudy
from understudy.contract import ToolContract, first_problem
from understudy.errors import InputError, ThresholdError
from understudy.evaluation.controls import AskedDirectly, Control, Controls, NoOp, NoTools, chance_level, without_tools
from understudy.evaluation.prepared import PREPARED, Offers, keep_memories, prepare, prepared_file, take
from understudy.evaluation.questions import file_sha256, read_questions
from understudy.evaluation.result import Record, Result
from understudy.evaluation.runner import Progress, evaluate
from understudy.evaluation.settings import FREE_KEYS, EvalConfig, Pins, SourceKind
from understudy.evaluation.toolkit import Toolkit, open_toolkit
from understudy.jsonl import read_json, read_jsonl, write_json
from understudy.protocols import Policy, Prompted, ToolSource
from understudy.reward.correctness import rule_of
from understudy.scoring import Rule
from understudy.synthesis.resume import claim_config, lock
from understudy.task import Task
from understudy.trace import Stop
from understudy.world import World

MANIFEST, RECORDS, RESULT, CONTROLS = "manifest.json", "records.jsonl", "result.json", "controls"

OpenPolicy = Callable[[EvalConfig, AsyncExitStack], Policy]
"""Makes the policy of a configuration; whatever it opens it leaves to the stack to close."""

Show = Callable[[str, int, int, int | None], None]
"""Shows progress: stage, questions done, of how many, and how many of them were right (None before they are asked)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished run: its manifest, its result, and what the result is worth."""

    manifest: EvalConfig
    result: Result
    controls: Controls


async def run_evaluation(
    config: EvalConfig, out: Path, open_policy: OpenPolicy, resume: bool = False, show: Show | None = None
) -> Evaluation:
    """Run what a configuration says, and write it to a folder.

    Args:
        config: what to do; a manifest is one too.
        out: the folder.
        open_policy: makes the policy.
        resume: go on with an earlier run of the same folder.
        show: called as the run advances.

    Raises:
        InputError: questions, policy or tools can't be had, something differs from a pin, or the folder holds another
            run.
        OutageError: a model or a search is gone for good; what was done is safe, and the run can be resumed.
        ThresholdError: more questions were lost than ``max_failed`` allows; everything is written.
    """
    show = show or (lambda stage, done, total, correct: None)
    with ExitStack() as claimed:
        claimed.enter_context(lock(out))
        async with AsyncExitStack() as open_things:
            questions = read_questions(config.questions, config.pins.ids)
            toolkit = await open_toolkit(config.tools, config.seed, out, open_things)
            policy = open_policy(config, open_things)
            pins = Pins(
                understudy=understudy.__version__,
                questions=questions.sha256,
                ids=tuple(task.id for task in questions.tasks),
                prepared=file_sha256(prepared_file(config.tools.prepared)) if config.tools.prepared else "",
                policy=policy.name,
                tools=toolkit.source.name,
                prompts={**(policy.prompts if isinstance(policy, Prompted) else {}), **toolkit.prompts},
            )
            _hold_to(config.pins, pins)
            manifest = config.model_copy(
                update={
                    "questions": config.questions.model_copy(update={"revision": questions.revision}),
                    "scorer": config.scorer or _rule(questions.tasks),
                    "pins": pins,
                }
            )
            results = [out / name for name in (RECORDS, RESULT, PREPARED)]
            claim_config(out / MANIFEST, manifest.model_dump(mode="json"), resume, results, FREE_KEYS)
            if toolkit.ledger:
                open_things.enter_context(toolkit.ledger)
            finished = await _Run(manifest, out, list(questions.tasks), policy, toolkit, show).finish()
    _check_failures(finished, config.max_failed, out)
    return finished


class _Run:
    """The stages of one run."""

    def __init__(
        self, manifest: EvalConfig, out: Path, tasks: list[Task], policy: Policy, toolkit: Toolkit, show: Show
    ) -> None:
        self._manifest, self._out, self._tasks = manifest, out, tasks
        self._policy, self._toolkit, self._show = policy, toolkit, show

    async def finish(self) -> Evaluation:
        offers = await self._offers()
        source = self._toolkit.source
        result = await self._evaluate(RECORDS, self._policy, source, offers.toolsets, offers.worlds, offers.unready)
        if self._toolkit.simulator is not None:
            keep_memories(self._out / PREPARED, offers, result.records)
        controls = await self._controls(offers)
        write_json(self._out / RESULT, {**result.summary(), "controls": controls.model_dump(mode="json")})
        return Evaluation(self._manifest, result, controls)

    async def _offers(self) -> Offers:
        path = self._out / PREPARED if self._toolkit.simulator is not None else None
        if self._manifest.tools.prepared is not None and not (path and path.exists()):
            return take(self._manifest.tools.prepared, self._tasks)

        def show(done: int) -> None:
            if path is not None:
                self._show("tools", done, len(self._tasks), None)

        return await prepare(self._tasks, self._toolkit.prepare, path, self._manifest.concurrency, show)

    async def _controls(self, offers: Offers) -> Controls:
        nothing, none = without_tools(self._tasks), NoTools()
        source, simulator = self._toolkit.source, self._toolkit.simulator
        noop = await self._evaluate(
            f"{CONTROLS}/noop.jsonl", NoOp(), source, offers.toolsets, offers.worlds, offers.unready
        )
        no_tools = direct = None
        if self._manifest.tools.source is not SourceKind.NONE:
            no_tools = await self._evaluate(f"{CONTROLS}/no_tools.jsonl", self._policy, none, nothing)
        if simulator is not None:
            asked = AskedDirectly(simulator, self._manifest.policy.max_turn_tokens)
            direct = await self._evaluate(f"{CONTROLS}/simulator.jsonl", asked, none, nothing)
        return Controls(
            noop=Control.of(noop),
            no_tools=Control.of(no_tools) if no_tools else None,
            simulator=Control.of(direct) if direct else None,
            chance=chance_level(self._tasks, seed=self._manifest.seed),
        )

    async def _evaluate(
        self,
        records: str,
        policy: Policy,
        tools: ToolSource,
        toolsets: Mapping[str, Sequence[ToolContract]],
        worlds: Mapping[str, World] | None = None,
        unready: Mapping[str, str] | None = None,
    ) -> Result:
        def show(at: Progress) -> None:
            self._show(Path(records).stem, at.done, at.total, at.correct)

        manifest = self._manifest
        return await evaluate(
            self._tasks, toolsets, worlds, policy, tools, manifest.limits, manifest.seed,
            concurrency=manifest.concurrency, rule=manifest.scorer or Rule.WIKI2, records=self._out / records,
            resume=True, on_progress=show, unready=unready or {},
        )  # fmt: skip


def read_run(folder: Path) -> tuple[EvalConfig, Result]:
    """The manifest and the result of a finished run.

    Raises:
        InputError: the folder holds no finished evaluation, or a file of it is damaged.
    """
    path = folder / RESULT
    if not path.exists():
        raise InputError(f"{folder}: not a finished evaluation ({RESULT} is missing)")
    try:
        manifest = EvalConfig.model_validate(read_json(folder / MANIFEST))
        records = [Record.model_validate(line) for line in read_jsonl(folder / RECORDS)]
        summary: dict[str, Any] = {key: value for key, value in read_json(path).items() if key != "controls"}
        ordered = sorted(records, key=lambda record: record.task_id)
        result = Result.model_validate({**summary, "records": ordered})
    except (ValidationError, AttributeError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else "not an object"
        raise InputError(f"{folder}: not what an evaluation writes ({problem})") from None
    if [record.task_id for record in ordered] != sorted(manifest.pins.ids):
        raise InputError(f"{folder / RECORDS}: doesn't hold each question of the manifest once; run it again")
    return manifest, result


def _hold_to(wanted: Pins, found: Pins) -> None:
    """Refuse whatever differs from a pin that is given."""
    for name in ("questions", "prepared", "policy", "tools", "prompts"):
        pinned, now = getattr(wanted, name), getattr(found, name)
        if pinned and pinned != now:
            empty = "{}" if isinstance(now, dict) else '""'
            raise InputError(
                f"pins.{name}: the manifest is of {str(pinned)[:120]}, but now it is {str(now)[:120]}; "
                f"restore it, or run without this pin by --set 'pins.{name}={empty}'"
            )


def _rule(tasks: Sequence[Task]) -> Rule:
    rules = {rule_of(task) for task in tasks}
    if len(rules) > 1:
        raise InputError(f"the questions are of several benchmarks ({', '.join(sorted(rules))}); say which scorer")
    return rules.pop()


def _check_failures(finished: Evaluation, allowed: float, out: Path) -> None:
    lost = [record for record in finished.result.records if record.stop in (Stop.POLICY_ERROR, Stop.SIMULATOR_FAILURE)]
    if len(lost) > allowed * len(finished.result.records):
        raise ThresholdError(
            f"{out}: {len(lost)} of {len(finished.result.records)} questions were lost to a failing model or tool "
            f"({lost[0].stop}: {lost[0].detail[:160]}); max_failed allows {allowed:.0%}"
        )
