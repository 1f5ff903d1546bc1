"""One exception root, so that the command line can turn any expected failure into one line and an exit code.

A bad rollout is data (a stop reason in its trace), never one of these. These are raised when the *user* has to do
something, or when a component below the loop gives up and the loop has to decide who is to blame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UnderstudyError(Exception):
    """Root of all expected failures. The message is one line: what, where, what to do."""

    exit_code = 2


class InputError(UnderstudyError):
    """A file, option or value the user gave can't be used."""


class SchemaError(InputError):
    """A JSON Schema is invalid, out of bounds, or refers to something outside itself."""


class MissingExtraError(UnderstudyError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)
        self.package, self.extra = package, extra

    def __str__(self) -> str:
        return f"{self.package} is not installed; run: pip install 'understudy[{self.extra}]'"


class ModelError(UnderstudyError):
    """A chat model gave no usable answer after the retries of its layer."""


class OutageError(UnderstudyError):
    """What every rollout needs is gone: a model's server, a valid key, room on the disk.

    Ends a run at once. No trace, task or policy is blamed for it, and what is owed stays owed.
    """


class SimulatorError(UnderstudyError):
    """A tool source gave no valid observation: a simulator failed, or a search server. Never the policy's fault."""


class ToolError(UnderstudyError):
    """A tool ran and reports a failure that the policy should see and may react to."""


class ThresholdError(UnderstudyError):
    """A threshold named in the configuration was exceeded."""

    exit_code = 3


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Around imports: a package that is not installed is named, with the extra that brings it.

    Raises:
        MissingExtraError: a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError((error.name or "a package").partition(".")[0], extra) from None
