"""The kept traces of a run as a data set: ``dataset/data/train-00000-of-00001.parquet`` and a card.

Load it with ``datasets.load_dataset(path)``; TRL's trainers take it as it is. ``messages`` and ``tools`` are columns of
``datasets.Json``, because Arrow's own structs would fill every argument object with the keys of all others. Their JSON
text is written here, as ``datasets`` would round floats.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from understudy.errors import InputError, MissingExtraError
from understudy.jsonl import disk_error, write_atomic
from understudy.schema import dumps
from understudy.synthesis.card import card
from understudy.synthesis.rows import COLUMNS, from_row, to_row
from understudy.synthesis.store import DATASET, RunFolder
from understudy.trace import Trace

FILE = Path("data") / "train-00000-of-00001.parquet"
BATCH = 500


def export_dataset(folder: RunFolder, system: str = "", licence: str = "other") -> Path:
    """Write ``dataset/`` from a run's kept traces, sorted by task id; an earlier export is replaced.

    Args:
        folder: a run folder; it needn't be started.
        system: system message that every conversation opens with; empty for none.
        licence: Hub identifier of the licence, which follows from the questions; "other" states none.

    Returns:
        The folder of the data set.

    Raises:
        MissingExtraError: ``datasets`` is not installed.
        InputError: the folder has no kept traces, or the disk refuses.
    """
    datasets, parquet, arrow = _import("datasets"), _import("pyarrow.parquet"), _import("pyarrow")
    json, text = datasets.Json(), datasets.Value("string")
    kinds = (text, text, datasets.List(json), datasets.List(json), json)
    schema = datasets.Features(dict(zip(COLUMNS, kinds, strict=True))).arrow_schema
    several = arrow.list_(arrow.string())
    stored = (arrow.string(), arrow.string(), several, several, arrow.string())
    plain = arrow.schema(zip(COLUMNS, stored, strict=True))
    path = folder.path / DATASET / FILE
    temporary = path.with_name(f".{path.name}.tmp")
    traces, rows = folder.traces(), 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with parquet.ParquetWriter(temporary, schema) as writer:
            while batch := [_encoded(to_row(trace, system)) for trace in islice(traces, BATCH)]:
                writer.write_table(arrow.Table.from_pylist(batch, schema=plain).cast(schema))
                rows += len(batch)
        if not rows:
            raise InputError(f"{folder.path}: no trace was kept, so there is no data set to write")
        temporary.replace(path)
    except OSError as error:
        raise disk_error(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    write_atomic(folder.path / DATASET / "README.md", card(folder, rows, licence, datasets.__version__))
    return folder.path / DATASET


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a data set: a parquet file, a JSONL file, or a folder with such files.

    Raises:
        InputError: there is no such file, or it can't be read.
        MissingExtraError: it is parquet, and pyarrow is not installed.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in (".parquet", ".jsonl"))
        if not files:
            raise InputError(f"{path}: no parquet or JSONL file in this folder")
        for file in files:
            yield from read_rows(file)
    elif path.suffix != ".parquet":
        yield from _read_lines(path)
    else:
        parquet, arrow = _import("pyarrow.parquet"), _import("pyarrow")
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH):
                    yield from map(_decoded, batch.to_pylist())
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (OSError, arrow.ArrowInvalid) as error:
            raise InputError(f"{path}: not a readable parquet file ({str(error).splitlines()[0]})") from None


def without_nulls(value: Any) -> Any:
    """What Arrow's structs fill up with nulls, without them (as TRL's ``remove_none_values`` does)."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _encoded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value if isinstance(value, str) else list(map(dumps, value)) if isinstance(value, list) else dumps(value)
        for key, value in row.items()
    }


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    """A parquet row: JSON text stays for ``from_row`` to read, structs of other origin lose their nulls."""
    return {key: without_nulls(value) for key, value in row.items()}


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """JSONL of any origin: unlike in our own logs, a last line without a newline counts."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = orjson.loads(line)
                    if not isinstance(row, dict):
                        raise InputError(f"{path}:{number}: expected a JSON object")
                    yield row
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}:{number}: not valid JSON ({error.msg})") from None
    except OSError as error:
        raise InputError(f"{path}: can't read ({(error.strerror or str(error)).lower()})") from None


def read_dataset(path: Path) -> Iterator[Trace]:
    """Traces of a data set; see ``read_rows``.

    Raises:
        InputError: a row is not what it has to be; the message names it.
    """
    for number, row in enumerate(read_rows(path), 1):
        try:
            yield from_row(row)
        except InputError as error:
            raise InputError(f"{path}: row {number}: {error}") from None


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(module.partition(".")[0], "eval") from None
