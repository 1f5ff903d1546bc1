"""What the scripted agent knows: what the calls so far have told it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from understudy.lab.conversation import Made, Offered
from understudy.lab.results import statements_in, value_in
from understudy.schema import dumps
from understudy.trace import error_status

NUMBER = re.compile(r"-?\d[\d,]*")


@dataclass
class Known:
    """What the calls so far have told.

    Attributes:
        values: objects by relation and subject (case-folded); None where a tool had no record.
        computed: results of calculations by expression; None where it failed.
        searched: queries that were made.
    """

    values: dict[tuple[str, str], str | None] = field(default_factory=dict)
    computed: dict[str, str | None] = field(default_factory=dict)
    searched: set[str] = field(default_factory=set)

    def learn(self, made: Made, tool: Offered | None) -> None:
        """Take in one call."""
        said = str(made.arguments.get(tool.parameter, "")) if tool else ""
        failed = error_status(made.result)
        if tool is None or not said or made.result is None or failed == "invalid_call":
            return
        if tool.calculates:
            found = NUMBER.search(dumps(made.result.get("value"))) if isinstance(made.result, dict) else None
            self.computed[said] = found.group() if found and failed is None else None
        elif tool.searches:
            self.searched.add(said)
            for subject, relation, value in statements_in(made.result):
                self.values[relation, subject.casefold()] = value
        else:
            for relation in tool.named[:1]:
                self.values[relation, said.casefold()] = None if failed else value_in(made.result, relation, said)
