"""The table of relations makes a bounded, unambiguous set of tools."""

import re

import pytest

from understudy.teachers.relations import OPEN, Relation, _table, annotated, asked, listed
from understudy.teachers.toolset import contract, result_key

EVERY = [*listed(), *OPEN.values()]


def test_keys_and_tool_names_are_unique() -> None:
    assert len({relation.key for relation in listed()}) == len(listed())
    for verb in ("get", "find", "look_up"):
        assert len({contract(relation, verb).name for relation in EVERY}) == len(EVERY)


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("relation", EVERY, ids=lambda relation: relation.name)
def test_a_contract_returns_its_relation_under_its_name(relation: Relation, echo: bool) -> None:
    made = contract(relation, "find", echo)
    assert result_key(made) == relation.key
    assert made.argument_violations({next(iter(made.parameters["required"])): "Ann"}) == []
    assert made.description.endswith(".")


def example(form: str) -> str:
    """A question that a form matches: of every group its first alternative, and what is optional."""
    while (simpler := re.sub(r"\(([^()|]*)(\|[^()]*)?\)\??", r"\1", form)) != form:
        form = simpler
    return form.replace("\\", "").replace("X", "Zed")


def test_every_form_is_read_as_its_relation() -> None:
    forms = [(relation.name, form) for relation in listed() for form in _table()[relation.name].get("asks", ())]
    assert len(forms) > 200
    for name, form in forms:
        assert len(re.findall(r"\bX\b", form)) == 1, form
        readings = [(relation.name, found) for relation, found in asked(example(form))]
        assert (name, "Zed") in readings, form


def test_annotated_names() -> None:
    assert annotated("Place of Birth") is annotated("place of birth")
    assert annotated("founded by") == annotated("founder")
    assert annotated("position played on team / speciality") == annotated("position played")
    rare = annotated("Dewey  decimal (classification)")
    assert rare == Relation("dewey decimal classification")
    assert annotated("###") is None
    long = annotated("x" * 400)
    assert long is not None
    assert contract(long).name


def test_relations_are_said_in_english() -> None:
    assert {
        relation.name: relation.said_of("X-1") for relation in listed() if relation.name in ("father", "part of")
    } == {
        "father": "the father of X-1",
        "part of": "what X-1 is part of",
    }
