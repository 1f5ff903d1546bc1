"""A question file and passages to search for the films of ``films``, and the configuration that evaluates on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import films
from understudy.config import build
from understudy.evaluation.settings import EvalConfig
from understudy.search.tools import SEARCH
from understudy.task import Task


def write(folder: Path, count: int = 12) -> tuple[Path, Path]:
    """Write ``questions.jsonl`` and ``passages.jsonl``: each film and each person has a passage."""
    questions, passages = folder / "questions.jsonl", folder / "passages.jsonl"
    rows, found = [], []
    for task in films.tasks[:count]:
        film, person, city = task.source.split("|")
        texts = [(film, f"{film} was directed by {person}."), (person, f"{person} was born in {city}.")]
        rows.append(
            {"id": task.id, "question": task.question, "answers": task.answers, "dataset": "musique", "split": "dev",
             "supporting": [film, person]}
        )  # fmt: skip
        found += [{"id": title, "title": title, "text": text} for title, text in texts]
    for path, lines in ((questions, rows), (passages, found)):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return questions, passages


def config(questions: Path, passages: Path, limit: int | None = None, **changes: Any) -> EvalConfig:
    """Live search in memory; keys of ``changes`` replace whole tables."""
    values = {
        "questions": {"path": str(questions), "limit": limit},
        "policy": {"kind": "evidence"},
        "tools": {"source": "live", "toolset": "search", "search": {"kind": "memory", "path": str(passages)}},
        **changes,
    }
    return build(EvalConfig, json.loads(json.dumps(values)), "test")


def search_twice(task: Task) -> list[str]:
    """Right on two questions of three, by two searches."""
    number = int(task.id[1:])
    return [
        films.call(SEARCH.name, query=f"Red Harbour {number}"),
        films.call(SEARCH.name, query=f"Anna Bergström {number}"),
        f"<answer>{task.answers[0] if number % 3 else 'Nowhere'}</answer>",
    ]
