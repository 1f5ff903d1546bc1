import pytest

from strategies import CONTRACT
from understudy.contract import ToolContract
from understudy.errors import SchemaError


def test_openai_form_round_trip():
    assert ToolContract.from_openai(CONTRACT.to_openai()) == CONTRACT
    plain = ToolContract.from_openai({"type": "function", "function": {"name": "now"}})
    assert plain.argument_violations({}) == []
    assert "return" not in plain.to_openai()["function"]


@pytest.mark.parametrize(
    "function",
    [
        {"name": "has space"},
        {"name": ""},
        {"name": "f", "parameters": {"type": "string"}},
        {"name": "f", "parameters": {"type": "object", "properties": 3}},
        {"name": "f", "return": {"$ref": "https://example.org/schema"}},
        None,
    ],
)
def test_bad_tools_are_refused_in_one_line(function):
    with pytest.raises(SchemaError) as caught:
        ToolContract.from_openai({"type": "function", "function": function})
    assert "\n" not in str(caught.value)


def test_both_sides_are_validated():
    assert CONTRACT.argument_violations({"film": "X"}) == []
    assert CONTRACT.argument_violations({"movie": "X"})
    assert CONTRACT.argument_violations("X")
    assert CONTRACT.result_violations({"director": "Y"}) == []
    assert CONTRACT.result_violations({"director": 3})


def test_a_changed_copy_has_a_key_of_its_own():
    before = CONTRACT.key()
    changed = CONTRACT.model_copy(update={"description": "Another."})
    assert changed.key() == ToolContract(**changed.model_dump()).key() != before
    assert CONTRACT.model_copy().key() == CONTRACT.key() == before
