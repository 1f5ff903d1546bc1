"""JSON values and JSON Schema validation within bounds.

Schemas and values come from models and remote tools, so both are hostile until checked: size and nesting are bounded,
remote ``$ref`` is refused (the library would fetch it), and patterns run on an engine with linear-time matching.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson

from understudy.errors import SchemaError

MAX_SCHEMA_BYTES = 16_384
MAX_VALUE_BYTES = 65_536
MAX_DEPTH = 16

# Built once: building it takes far longer than checking a schema with it.
_METASCHEMA = jsonschema_rs.Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)


def depth(value: object) -> int:
    """Nesting depth of a JSON value (a scalar has depth 0), without recursion."""
    deepest, stack = 0, [(value, 0)]
    while stack:
        item, level = stack.pop()
        deepest = max(deepest, level)
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list | tuple) else ()
        stack.extend((child, level + 1) for child in children)
    return deepest


def dumps(value: object) -> str:
    """Compact JSON text in the value's own key order."""
    return orjson.dumps(value).decode()


def canonical(value: object) -> bytes:
    """The one byte string of a JSON value: keys sorted, integral floats as integers, runs of white space collapsed."""
    return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _refuse(uri: str) -> Any:
    raise ValueError(f"remote reference refused: {uri}")


@lru_cache(maxsize=4_096)  # some kilobytes each: a hundred thousand tasks must not fill the memory
def _compile(schema: bytes) -> jsonschema_rs.Draft202012Validator:
    if len(schema) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"schema has {len(schema)} bytes; at most {MAX_SCHEMA_BYTES} are accepted")
    parsed = orjson.loads(schema)
    if depth(parsed) > MAX_DEPTH:
        raise SchemaError(f"schema is nested more than {MAX_DEPTH} levels deep")
    if not isinstance(parsed, dict):
        raise SchemaError("a schema must be a JSON object")
    try:
        _METASCHEMA.validate(parsed)
        return jsonschema_rs.Draft202012Validator(parsed, retriever=_refuse, pattern_options=_PATTERNS)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaError(f"invalid schema: {_first_line(error)}") from None


def check_schema(schema: object) -> None:
    """Raise SchemaError unless ``schema`` is a valid, self-contained draft 2020-12 schema within bounds."""
    try:
        encoded = orjson.dumps(schema)
    except orjson.JSONEncodeError as error:
        raise SchemaError(f"invalid schema: {_first_line(error)}") from None
    _compile(encoded)


def violations(schema: dict[str, Any], value: object, limit: int = 3) -> list[str]:
    """How ``value`` breaks ``schema``: at most ``limit`` one-line messages with paths, empty when it is valid.

    Raises:
        SchemaError: the schema itself is unusable.
    """
    try:
        size = len(orjson.dumps(value))
    except (orjson.JSONEncodeError, TypeError) as error:
        return [f"not a JSON value: {_first_line(error)}"]
    if size > MAX_VALUE_BYTES:
        return [f"value has {size} bytes; at most {MAX_VALUE_BYTES} are accepted"]
    if depth(value) > MAX_DEPTH:
        return [f"value is nested more than {MAX_DEPTH} levels deep"]
    validator = _compile(orjson.dumps(schema))
    if validator.is_valid(value):
        return []
    messages = []
    for problem in validator.iter_errors(value):
        where = "/".join(str(part) for part in problem.instance_path)
        messages.append(f"{where}: {_first_line(problem.message)}" if where else _first_line(problem.message))
        if len(messages) == limit:
            break
    return messages


def _first_line(error: object) -> str:
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
