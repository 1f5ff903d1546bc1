"""``understudy score``: answers that exist already, scored as the benchmarks' own scripts score them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import BaseModel, ConfigDict, Field

from understudy.contract import first_problem
from understudy.errors import InputError
from understudy.jsonl import write_atomic
from understudy.metric import mean, proportion
from understudy.noun import Noun
from understudy.readers.rows import read_rows
from understudy.scoring import Rule, exact_match, f1


class Prediction(BaseModel):
    """One line: what was answered, and what counts as right. Other fields are ignored."""

    model_config = ConfigDict(strict=True)

    id: str | int
    prediction: str
    answers: list[str] = Field(min_length=1)


class Item(Noun):
    """One line of ``--per-item``; ``em`` is 1 or 0."""

    id: str | int
    em: int
    f1: float


def command(
    file: Annotated[Path, typer.Argument(help='Lines of {"id", "prediction", "answers": […]}.')],
    rule: Annotated[Rule, typer.Option(help="Whose script scores.")],
    per_item: Annotated[Path | None, typer.Option(help='File for lines of {"id", "em", "f1"}.')] = None,
) -> None:
    """Score answers by the rules of a benchmark: Exact Match and F1 with 95 % intervals, as JSON."""
    items = [
        Item(
            id=line.id, em=exact_match(line.prediction, line.answers, rule), f1=f1(line.prediction, line.answers, rule)
        )
        for line in _predictions(file)
    ]
    if not items:
        raise InputError(f"{file}: no predictions")
    if per_item:
        lines = (orjson.dumps(item.model_dump(), option=orjson.OPT_APPEND_NEWLINE) for item in items)
        write_atomic(per_item, b"".join(lines))
    em, f1s = proportion(sum(item.em for item in items), len(items)), mean([item.f1 for item in items])
    scores = {"n": len(items), "em": em.model_dump(), "f1": f1s.model_dump()}
    typer.echo(orjson.dumps(scores).decode())


def _predictions(path: Path) -> Iterator[Prediction]:
    places: dict[str | int, str] = {}
    for row in read_rows(path):
        try:
            line = Prediction.model_validate(row.value)
        except ValueError as error:
            raise InputError(f"{row.place}: {first_problem(error)}") from None
        if (earlier := places.setdefault(line.id, row.place)) is not row.place:
            raise InputError(f"{row.place}: id {line.id!r} is used before, at {earlier}; score each question once")
        yield line
