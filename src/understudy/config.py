"""Configuration: one pydantic object per command, read from TOML, changed by ``--set key=value``.

Unknown keys and bad values are refused in one line that names the key. The resolved configuration is saved beside the
results and re-runs them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from understudy.errors import InputError
from understudy.jsonl import read_json


class Config(BaseModel):
    """Base of all configurations: strict about unknown keys, documented field by field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


C = TypeVar("C", bound=Config)


def load_config(
    kind: type[C], path: Path | None = None, overrides: Sequence[str] = (), start: Mapping[str, Any] | None = None
) -> C:
    """Read a configuration.

    Args:
        kind: which configuration.
        path: a TOML file, or the ``config.json`` of an earlier run; None starts from the defaults.
        overrides: ``key=value`` with dots for tables. A value is TOML if it parses as TOML, else text.
        start: values to start from where there is no file.

    Raises:
        InputError: the file is missing or can't be read, a key is unknown, or a value is bad.
    """
    values = read_table(path) if path else dict(start or {})
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise InputError(f"--set {override}: expected key=value")
        _assign(values, key.strip().split("."), _literal(text.strip()), override)
    where = f"{path} and flags" if path and overrides else str(path or "configuration")
    return build(kind, values, where)


def build(kind: type[C], values: dict[str, Any], where: str) -> C:
    """Validate values as a configuration, or raise an InputError that names the first offending key.

    A table changes the keys it names; the others keep the defaults that ``kind`` gives them.
    """
    try:
        return kind.model_validate(_over_defaults(kind, values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(_fields_at(kind, first["loc"][:-1]))
            raise InputError(f"{where}: unknown key {key!r}; known keys: {known}") from None
        if first["type"] == "missing":
            raise InputError(f"{where}: {key} is missing; give it in a file or as --set {key}=…") from None
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{where}: {key}: {message}" if key else f"{where}: {message}") from None


def read_table(path: Path) -> dict[str, Any]:
    """The values of a TOML file, or of a JSON file by its name."""
    if path.suffix == ".json":
        values = read_json(path)
        if not isinstance(values, dict):
            raise InputError(f"{path}: expected a JSON object")
        return values
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: can't read ({error.strerror})") from None


def _over_defaults(kind: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """The values, with tables that are given in part filled up from the field's own default, not from their type's."""
    filled = dict(values)
    for name, field in kind.model_fields.items():
        if isinstance(field.default, BaseModel) and isinstance(given := values.get(name), dict):
            filled[name] = {**dict(field.default), **_over_defaults(type(field.default), given)}
    return filled


def _assign(values: dict[str, Any], keys: Sequence[str], value: object, override: str) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise InputError(f"--set {override}: {key!r} is a value, not a table")
    values[keys[-1]] = value


def _literal(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _fields_at(kind: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    for part in location:
        annotation = kind.model_fields[str(part)].annotation if str(part) in kind.model_fields else None
        tables = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type)]
        if not (tables := [one for one in tables if issubclass(one, BaseModel)]):
            return []
        kind = tables[0]
    return sorted(kind.model_fields)
