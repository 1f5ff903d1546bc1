"""Rows of a data set that the ``datasets`` library loads: from the Hugging Face Hub, or a local folder of its files.

A data set is named ``hf:NAME[:CONFIG][@SPLIT]``. It is streamed, so a limit of twenty rows downloads little more than
those. No code of a data set's own is ever run.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from understudy.errors import InputError, needs_extra
from understudy.readers.rows import Row

PREFIX = "hf:"


def read_hub_rows(name: str, revision: str = "") -> Iterator[Row]:
    """The rows of ``hf:NAME[:CONFIG][@SPLIT]``, in order. CONFIG and SPLIT may be left out where there is only one.

    Args:
        name: of the data set.
        revision: its branch, tag or commit; empty for the newest.

    Raises:
        InputError: there is no such data set, configuration or split, or it can't be reached.
        MissingExtraError: ``datasets`` is not installed.
    """
    with needs_extra("eval"):
        datasets = importlib.import_module("datasets")
    path, config, split = _parts(name)
    try:
        loaded = datasets.load_dataset(
            path, config or None, split=split or None, revision=revision or None, streaming=True
        )
        for number, row in enumerate(loaded if split else _only_split(loaded, name), 1):
            yield Row(_without_empty(row), f"{name}: row {number}")
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"{name}: {_first_line(error)}") from None


def commit(name: str, revision: str = "") -> str:
    """The commit that a revision of a data set is now; empty for a local folder, which has none.

    Raises:
        InputError: there is no such data set or revision, or the Hub can't be reached.
        MissingExtraError: ``datasets`` is not installed.
    """
    with needs_extra("eval"):
        importlib.import_module("datasets")
        hub, http = importlib.import_module("huggingface_hub"), importlib.import_module("httpx")
    path, _, _ = _parts(name)
    if Path(path).exists():
        return ""
    try:
        return str(hub.HfApi().dataset_info(path, revision=revision or None).sha)
    except (OSError, ValueError, RuntimeError, http.HTTPError) as error:
        raise InputError(f"{name}: {_first_line(error)}") from None


def _parts(name: str) -> tuple[str, str, str]:
    body, _, split = name.removeprefix(PREFIX).partition("@")
    path, _, config = body.partition(":")
    if not path:
        raise InputError(f"{name}: expected hf:NAME[:CONFIG][@SPLIT]")
    return path, config, split


def _only_split(splits: dict[str, Any], name: str) -> Any:
    if len(splits) > 1:
        raise InputError(f"{name}: name a split, as in {name}@{next(iter(splits))}; splits: {', '.join(splits)}")
    return next(iter(splits.values()))


def _without_empty(row: dict[str, Any]) -> dict[str, Any]:
    """Without the nulls of columns that only other rows have."""
    return {key: value for key, value in row.items() if value is not None}


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
