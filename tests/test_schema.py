import time

import pytest
from hypothesis import given

from strategies import json_values
from understudy.errors import SchemaError
from understudy.schema import MAX_DEPTH, MAX_VALUE_BYTES, canonical, check_schema, depth, violations


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"$dynamicRef": "https://example.org/x"},
        {"type": "not a type"},
        {"pattern": r"(a+)+\1"},
        {"properties": {"a": {"type": 5}}},
        {"description": "x" * 20_000},
        [],
        {"const": object()},
    ],
)
def test_unusable_schemas_are_refused_in_one_line(schema):
    with pytest.raises(SchemaError) as caught:
        check_schema(schema)
    assert "\n" not in str(caught.value)


def test_deep_schema_is_refused():
    schema = {"type": "string"}
    for _ in range(MAX_DEPTH):
        schema = {"not": schema}
    with pytest.raises(SchemaError, match="nested"):
        check_schema(schema)


def test_local_references_work():
    schema = {"$defs": {"name": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/name"}}}
    assert violations(schema, {"a": "x"}) == []
    assert violations(schema, {"a": 1}) == ['a: 1 is not of type "string"']


def test_patterns_match_in_linear_time():
    started = time.perf_counter()
    assert violations({"pattern": "^(a+)+$"}, "a" * 50_000 + "b")
    assert time.perf_counter() - started < 1.0  # a backtracking engine would need longer than the universe has


def test_values_out_of_bounds_are_violations():
    assert "bytes" in violations({}, "x" * (MAX_VALUE_BYTES + 1))[0]
    value: list = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    assert "nested" in violations({}, value)[0]
    for _ in range(2000):
        value = [value]
    assert violations({}, value)
    assert violations({}, {1: "key is no string"})


@given(json_values)
def test_canonical_is_a_fixed_point_and_ignores_key_order(value):
    import orjson

    once = canonical(value)
    assert canonical(orjson.loads(once)) == once
    if isinstance(value, dict):
        assert canonical(dict(reversed(value.items()))) == once


def test_canonical_joins_what_means_the_same():
    assert canonical({"a": 1.0, "b": " x  y "}) == canonical({"b": "x y", "a": 1})


def test_depth():
    assert depth("x") == 0
    assert depth([[], {"a": [1]}]) == 3
