"""Rows of a file, whatever its container: JSON Lines, one JSON array, CSV or TSV with a header; each may be gzip.

Every row comes with its place in the file, so that whoever reads on can say where a mistake is. Files are streamed:
the official arrays have hundreds of megabytes.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BufferedReader, TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from understudy.errors import InputError

MAX_ROW_CHARS = 1 << 24
_CHUNK = 1 << 20
_BETWEEN = re.compile(r"[\s,]*")


class Container(StrEnum):
    """How rows lie in a file."""

    JSONL = "jsonl"
    """An object a line, or one array."""
    CSV = "csv"
    """A header, then a row a line."""
    TSV = "tsv"
    """CSV with tabs."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record and where it stands: ``file.jsonl:17`` or, in a JSON array, ``file.json: item 17``."""

    value: dict[str, Any]
    place: str


def read_rows(path: Path, container: Container | None = None) -> Iterator[Row]:
    """The rows of a file, in order.

    Args:
        path: the file.
        container: how rows lie in it; None goes by its name.

    Raises:
        InputError: the file can't be read, or a row is not an object.
    """
    try:
        with path.open("rb") as raw, _text(raw) as file:
            container = container or _named(path)
            yield from _json_rows(file, path) if container is Container.JSONL else _csv_rows(file, path, container)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason})") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged gzip file ({error})") from None
    except csv.Error as error:
        raise InputError(f"{path}: not valid CSV or TSV ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: can't read ({(error.strerror or str(error)).lower()})") from None


def _named(path: Path) -> Container:
    suffix = Path(path.name.removesuffix(".gz")).suffix[1:]
    return Container(suffix) if suffix in set(Container) else Container.JSONL


def _text(raw: BufferedReader) -> TextIOWrapper:
    zipped = raw.peek(2)[:2] == b"\x1f\x8b"
    stream = gzip.GzipFile(fileobj=raw) if zipped else raw
    return TextIOWrapper(cast(BinaryIO, stream), encoding="utf-8-sig", newline="")


def _json_rows(file: TextIOWrapper, path: Path) -> Iterator[Row]:
    first = file.readline(MAX_ROW_CHARS)
    while first and not first.strip():
        first = file.readline(MAX_ROW_CHARS)
    if first.lstrip().startswith("["):
        yield from _array_rows(first.lstrip()[1:], file, path)
    else:
        yield from _line_rows(chain([first], iter(lambda: file.readline(MAX_ROW_CHARS), "")), path)


def _line_rows(lines: Iterator[str], path: Path) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            value = orjson.loads(line)
        except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
            problem = error.msg if isinstance(error, orjson.JSONDecodeError) else error.reason
            raise InputError(f"{place}: not valid JSON ({problem})") from None
        yield _object(value, place)


def _array_rows(start: str, file: TextIOWrapper, path: Path) -> Iterator[Row]:
    decoder, buffer, cursor, number = json.JSONDecoder(), start, 0, 1
    while True:
        cursor = _BETWEEN.match(buffer, cursor).end()  # type: ignore[union-attr] # matches the empty string too
        if buffer.startswith("]", cursor):
            return
        place = f"{path}: item {number}"
        try:
            value, cursor = decoder.raw_decode(buffer, cursor)
        except RecursionError:
            raise InputError(f"{place}: nested too deep") from None
        except json.JSONDecodeError as error:
            rest = buffer[cursor:]
            chunk = file.read(max(_CHUNK, len(rest)))  # at least doubled, so that long items take linear time
            if not chunk or len(rest) > MAX_ROW_CHARS:
                raise InputError(f"{place}: not valid JSON ({error.msg.lower()})") from None
            buffer, cursor = rest + chunk, 0
            continue
        number += 1
        yield _object(value, place)


def _csv_rows(file: TextIOWrapper, path: Path, container: Container) -> Iterator[Row]:
    reader = csv.DictReader(file, strict=True, delimiter="\t" if container is Container.TSV else ",")
    for value in reader:
        place = f"{path}:{reader.line_num}"
        if None in value:
            raise InputError(f"{place}: more fields than the header names")
        yield Row({key: text for key, text in value.items() if text}, place)


def _object(value: object, place: str) -> Row:
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected a JSON object, found {type(value).__name__}")
    return Row(value, place)
