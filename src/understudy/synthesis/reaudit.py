"""The audit of a run again, with other settings: which traces are kept changes, and nothing is asked of any model."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from typing import Any

from understudy.checks.leak import Oracles
from understudy.config import build
from understudy.errors import InputError
from understudy.jsonl import JsonlWriter, read_json, read_jsonl, write_json
from understudy.synthesis.audit import AuditSettings, Finding, audit
from understudy.synthesis.records import Ended, rejection
from understudy.synthesis.resume import lock
from understudy.synthesis.screen import Screen
from understudy.synthesis.staging import commit, stage
from understudy.synthesis.store import CONFIG, DATASET, FAILURES, REJECTED, SUMMARY, TASKS, TRACES, RunFolder
from understudy.task import Task

SYNC = 1 << 30
"""Records between two syncs: the files are synced once, before they take the place of the old ones."""


@dataclass(frozen=True, slots=True)
class Reaudited:
    """What changed.

    Attributes:
        kept: traces that are kept now.
        freed: traces that were rejected before.
        dropped: traces that were kept before.
        without_trace: tasks that were refused before a rollout and no longer would be. They stay rejected, for the
            reason they had: take their lines out of ``rejected.jsonl`` and resume the run to have their traces made.
    """

    kept: int
    freed: int
    dropped: int
    without_trace: int


def audit_settings(folder: RunFolder) -> AuditSettings:
    """What a run was audited with.

    Raises:
        InputError: this is no run folder, or its configuration has no audit settings.
    """
    path = folder.path / CONFIG
    return build(AuditSettings, _audit_table(read_json(path), folder)["audit"], str(path))


def reaudit(folder: RunFolder, settings: AuditSettings) -> Reaudited:
    """Judge every trace of a run again; ``config.json`` gets the new settings, and the run can be resumed with them.

    ``traces.jsonl``, ``rejected.jsonl``, ``config.json`` and ``summary.json`` change together or not at all. A data set
    made of the traces is removed, as it no longer is what it says.

    Raises:
        InputError: this is no run folder, a file of it is damaged, another process writes to it, or the disk refuses.
    """
    path = folder.path
    config = read_json(path / CONFIG)
    claim = lock(path)
    try:
        _audit_table(config, folder)["audit"] = settings.model_dump(mode="json")
        staged = stage(path)
        refusals = _refusals(folder, settings)
        counts: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        oracles = Oracles()
        with JsonlWriter(staged / TRACES, SYNC) as traces, JsonlWriter(staged / REJECTED, SYNC) as rejected:
            for ended in folder.ended():
                if ended.name == FAILURES:
                    counts[FAILURES] += 1
                    continue
                record = _judged(ended, refusals.get(ended.record["task_id"]), settings, oracles)
                name = TRACES if record is None else REJECTED
                (traces if record is None else rejected).write(record or _content(ended))
                counts[name] += 1
                counts[f"{ended.name} → {name}"] += 1
                if record:
                    reasons.update(record["reasons"])
                    freed = record["trace"] is None and ended.record["task_id"] not in refusals
                    counts["without trace"] += freed
        write_json(staged / CONFIG, config)
        if (path / SUMMARY).exists():
            changed = {
                "kept": counts[TRACES],
                "rejected": counts[REJECTED],
                "reasons": dict(sorted(reasons.items())),
                "one_call": oracles.share.model_dump(mode="json"),
            }
            write_json(staged / SUMMARY, read_json(path / SUMMARY) | changed)
        commit(path)
        shutil.rmtree(path / DATASET, ignore_errors=True)
    finally:
        claim.close()
    moved = (counts[f"{REJECTED} → {TRACES}"], counts[f"{TRACES} → {REJECTED}"])
    return Reaudited(counts[TRACES], *moved, counts["without trace"])


def _audit_table(config: Any, folder: RunFolder) -> dict[str, Any]:
    """The table of a run's configuration that holds ``audit``: the one of a command, or of ``synthesise`` itself."""
    table = config.get("synthesis", config) if isinstance(config, dict) else None
    if not isinstance(table, dict) or not isinstance(table.get("audit"), dict):
        raise InputError(f"{folder.path / CONFIG}: holds no audit settings; was the folder made by understudy synth?")
    return table


def _refusals(folder: RunFolder, settings: AuditSettings) -> dict[str, Finding]:
    """What no rollout would be made of, judged in the order of the questions as when the run was made."""
    screen = Screen(settings)
    judged = ((record["id"], screen.refusal(Task(**record))) for record in read_jsonl(folder.path / TASKS))
    return {task_id: refusal for task_id, refusal in judged if refusal}


def _judged(ended: Ended, refusal: Finding | None, settings: AuditSettings, oracles: Oracles) -> dict[str, Any] | None:
    """The line of a rejection; None for a trace that is kept."""
    task, trace = ended.task, ended.trace
    if trace is None:
        return rejection(task.id, [refusal], None) if refusal else ended.record
    oracles.add(trace, task)
    findings = [refusal] if refusal else audit(trace, task, ended.world, settings)
    return rejection(task.id, findings, _content(ended)) if findings else None


def _content(ended: Ended) -> dict[str, Any]:
    content: dict[str, Any] = ended.record if ended.name == TRACES else ended.record["trace"]
    return content
