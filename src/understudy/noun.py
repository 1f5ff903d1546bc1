"""The base of everything that is written to a file: frozen, strict about unknown keys, one JSON line each."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Noun(BaseModel):
    """A frozen record. Unknown keys are errors, so that a misspelt field is never silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")
