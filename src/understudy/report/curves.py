"""Learning curves from the metrics that training writes as it goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from understudy.jsonl import read_jsonl
from understudy.report.model import Curve, Stage


def read_curve(path: Path, stage: Stage, title: str, keys: Mapping[str, str], share: bool = False) -> Curve:
    """Read a curve from a JSONL file of metrics, one record per log, each with its ``step``.

    Args:
        path: the file. A record without one of the keys (or with null) has no point in that series.
        stage: whose curve it is.
        title: what is measured.
        keys: name of a series → key of its values.
        share: whether values lie in [0, 1].

    Raises:
        InputError: the file is missing or not JSONL.
    """
    records = [record for record in read_jsonl(path) if isinstance(record.get("step"), int)]
    return Curve(
        stage=stage,
        title=title,
        series={
            name: tuple(
                (record["step"], float(value))
                for record in records
                if isinstance(value := record.get(key), int | float) and math.isfinite(value)
            )
            for name, key in keys.items()
        },
        share=share,
    )
