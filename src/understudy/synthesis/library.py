"""The tool library of a run: every distinct contract once, under an id that depends on nothing but the contract."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from understudy.contract import ToolContract


def contract_id(contract: ToolContract) -> str:
    """The name and a short hash of the whole contract, as tools of different tasks may share a name."""
    return f"{contract.name}-{hashlib.sha256(contract.key()).hexdigest()[:12]}"


class Library:
    """Which contracts are known.

    Args:
        ids: of contracts recorded earlier.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids = set(ids)

    def add(self, contract: ToolContract) -> tuple[str, bool]:
        """The contract's id, and whether it is new."""
        identifier = contract_id(contract)
        new = identifier not in self._ids
        self._ids.add(identifier)
        return identifier, new
