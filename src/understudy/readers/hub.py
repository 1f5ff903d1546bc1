"""Rows of a data set that the ``datasets`` library loads: from the Hugging Face Hub, or a local folder of its files.

A data set is named ``hf:NAME[:CONFIG][@SPLIT]``. It is streamed, so a limit of twenty rows downloads little more than
those. No code of a data set's own is ever run.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from understudy.errors import InputError, needs_extra
from understudy.readers.rows import Row

PREFIX = "hf:"


def read_hub_rows(name: str) -> Iterator[Row]:
    """The rows of ``hf:NAME[:CONFIG][@SPLIT]``, in order. CONFIG and SPLIT may be left out where there is only one.

    Raises:
        InputError: there is no such data set, configuration or split, or it can't be reached.
        MissingExtraError: ``datasets`` is not installed.
    """
    with needs_extra("eval"):
        datasets = importlib.import_module("datasets")
    body, _, split = name.removeprefix(PREFIX).partition("@")
    path, _, config = body.partition(":")
    if not path:
        raise InputError(f"{name}: expected hf:NAME[:CONFIG][@SPLIT]")
    try:
        loaded = datasets.load_dataset(path, config or None, split=split or None, streaming=True)
        for number, row in enumerate(loaded if split else _only_split(loaded, name), 1):
            yield Row(_without_empty(row), f"{name}: row {number}")
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"{name}: {_first_line(error)}") from None


def _only_split(splits: dict[str, Any], name: str) -> Any:
    if len(splits) > 1:
        raise InputError(f"{name}: name a split, as in {name}@{next(iter(splits))}; splits: {', '.join(splits)}")
    return next(iter(splits.values()))


def _without_empty(row: dict[str, Any]) -> dict[str, Any]:
    """Without the nulls of columns that only other rows have."""
    return {key: value for key, value in row.items() if value is not None}


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
