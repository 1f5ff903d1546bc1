"""A tool contract: an OpenAI function object plus a JSON Schema of what the tool returns."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

from pydantic import Field, field_validator

from understudy.errors import SchemaError
from understudy.noun import Noun
from understudy.schema import canonical, check_schema, violations

NAME_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$"


class ToolContract(Noun):
    """What a tool is called, takes and returns.

    Both schemas are checked when the contract is made: whatever holds a ``ToolContract`` may validate against it
    without handling broken schemas. ``parameters`` must describe an object.
    """

    name: str = Field(pattern=NAME_PATTERN)
    description: str = Field(max_length=1024)
    parameters: dict[str, Any]
    returns: dict[str, Any] = Field(default_factory=dict)

    @field_validator("parameters")
    @classmethod
    def _parameters_describe_an_object(cls, schema: dict[str, Any]) -> dict[str, Any]:
        if schema.get("type") != "object":
            raise ValueError("parameters must be a schema of type object")
        return _checked(schema)

    @field_validator("returns")
    @classmethod
    def _returns_is_a_schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        return _checked(schema)

    def argument_violations(self, arguments: object) -> list[str]:
        """One-line messages on how ``arguments`` break the contract; empty when they keep it."""
        return violations(self.parameters, arguments)

    def result_violations(self, result: object) -> list[str]:
        """One-line messages on how ``result`` breaks the contract; empty when it keeps it."""
        return violations(self.returns, result)

    def key(self) -> bytes:
        """Identity of the contract: equal for contracts that are equal as JSON."""
        return self._key

    @cached_property
    def _key(self) -> bytes:  # asked for on every call and for every task, and the same contract serves many
        return canonical(self.model_dump())

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.__dict__.pop("_key", None)  # model_copy changes fields of the copy, which are in its key
        return copied

    def to_openai(self) -> dict[str, Any]:
        """The entry of a ``tools`` list; the result schema is under ``return``, as transformers' templates expect."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        if self.returns:
            function["return"] = self.returns
        return {"type": "function", "function": function}

    @classmethod
    def from_openai(cls, tool: dict[str, Any]) -> ToolContract:
        """Read an entry of a ``tools`` list, with or without ``return``.

        Raises:
            SchemaError: it is not a function object with valid schemas.
        """
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise SchemaError('a tool must be {"type": "function", "function": {…}}')
        try:
            return cls(
                name=function.get("name", ""),
                description=function.get("description") or "",
                parameters=function.get("parameters") or {"type": "object", "properties": {}},
                returns=function.get("return") or {},
            )
        except ValueError as error:
            raise SchemaError(f"tool {function.get('name')!r}: {first_problem(error)}") from None


def _checked(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        check_schema(schema)
    except SchemaError as error:
        raise ValueError(str(error)) from None
    return schema


def first_problem(error: ValueError) -> str:
    """The first line of a pydantic error that says what is wrong, with the field it is about."""
    problems = getattr(error, "errors", None)
    if problems is None:
        return str(error)
    first = problems(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
