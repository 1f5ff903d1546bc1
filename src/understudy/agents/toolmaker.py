"""The ToolMaker: from a question alone to the contracts offered for it, new ones or those of a library.

It never sees an answer, so it can't leak one on purpose. ``contract_problems`` looks for leaks by accident afterwards,
with the answers in hand, for the audit.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from understudy.agents.ask import ask
from understudy.agents.prompt import load
from understudy.checks.leak import leaking_tools
from understudy.contract import ToolContract, first_problem
from understudy.llm.protocol import ChatModel
from understudy.noun import Noun
from understudy.schema import violations
from understudy.scoring import normalize
from understudy.seed import derive_seed
from understudy.task import Kind, Task
from understudy.tools.utilities import UTILITIES

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_NAMED = {"type": "object", "properties": {"type": {"const": "object"}, "properties": {"type": "object"}}}
FEWEST, MOST = 3, 6
"""Task-specific contracts of a toolset."""
_TOOLS: dict[str, Any] = {
    "type": "array",
    "minItems": FEWEST,
    "maxItems": MOST,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string", "minLength": 1},
            "parameters": _NAMED,
            "returns": _NAMED,
        },
        "required": ["name", "description", "parameters", "returns"],
        "additionalProperties": False,
    },
}
REPLY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"enum": [kind.value for kind in Kind]},
        "utilities": {"type": "array", "items": {"type": "string"}, "maxItems": 16},
        "reuse": {"type": "array", "items": {"type": "string"}, "maxItems": MOST},
        "tools": _TOOLS,
    },
    "required": ["kind", "utilities", "tools"],
    "additionalProperties": False,
}
"""What the ToolMaker replies. ``reuse`` may be missing."""
REPLY_WITH_LIBRARY = {**REPLY, "properties": {**REPLY["properties"], "tools": {**_TOOLS, "minItems": 0}}}
"""What it replies when it is offered a library, which may hold all that is needed."""
_PLAIN = ("string", "integer", "number", "boolean")
_SMALL_WORDS = frozenset(
    re.findall(
        r"\w+",
        "and are by did do does for from had has have how in is it of on or to was were what when where which who whom "
        "whose why with",
    )
)


class Toolset(Noun):
    """What is offered for one question: its class, and the contracts in the order in which a policy sees them."""

    kind: Kind
    contracts: tuple[ToolContract, ...]


class ToolMaker:
    """Classifies a question, chooses utilities and generates 3–6 task-specific contracts.

    One of them is asked to be a distractor. Which one can't be told from a contract, so that is not checked here.

    Args:
        model: who makes them.
        attempts: requests per question at most; each after the first is told what was wrong.
    """

    def __init__(self, model: ChatModel, attempts: int = 3) -> None:
        self.model = model
        self._attempts = attempts
        self._prompt = load("toolmaker")
        self.prompts: Mapping[str, str] = {self._prompt.name: self._prompt.sha256}

    async def make(self, question: str, seed: int, library: Sequence[ToolContract] = ()) -> Toolset:
        """The toolset of a question.

        Args:
            question: what the tools are for.
            seed: what randomness derives from.
            library: contracts made for other questions, to be reused where they fit. Names are unique.

        Raises:
            ModelError: no attempt passed the checks.
        """
        offered = [{"name": name, "description": tool.contract.description} for name, tool in UTILITIES.items()]
        payload: dict[str, Any] = {"question": question, "utilities": offered}
        known, schema = {contract.name: contract for contract in library}, REPLY
        if known:
            payload, schema = payload | {"library": [tool.model_dump() for tool in library]}, REPLY_WITH_LIBRARY

        def check(value: Any) -> list[str]:
            return violations(schema, value) or _problems(value, question, known)

        made = await ask(self.model, self._prompt, payload, schema, check, self._attempts, seed, temperature=0.7)
        contracts = [known[name] for name in made.get("reuse", ())]
        contracts += [ToolContract(**tool) for tool in made["tools"]]
        contracts += [UTILITIES[name].contract for name in dict.fromkeys(made["utilities"])]
        random.Random(derive_seed(seed, "order")).shuffle(contracts)  # the distractor must not be known by its place
        return Toolset(kind=Kind(made["kind"]), contracts=tuple(contracts))


def contract_problems(contracts: Sequence[ToolContract], question: str, answers: Sequence[str] = ()) -> list[str]:
    """How contracts give the answer away: in their text, or by answering the question in one call.

    Utilities are exempt: they are the same for every question.
    """
    asked = normalize(question)
    made = [contract for contract in contracts if contract.name not in UTILITIES]
    leaking = leaking_tools(Task(id="", question=question, answers=tuple(answers)), made) if answers else []
    problems = [f"{name}: its text contains an accepted answer" for name in leaking]
    for contract in made:
        if _repeats(asked, f"{contract.name.replace('_', ' ')} {contract.description}"):
            problems.append(f"{contract.name}: it repeats the question; a tool must be of use for other questions too")
        if not contract.parameters.get("properties"):
            problems.append(f"{contract.name}: it takes no argument, so one call could answer the question")
    return problems


def _problems(made: dict[str, Any], question: str, library: Mapping[str, ToolContract]) -> list[str]:
    problems = [f"utilities: there is no {name!r}" for name in made["utilities"] if name not in UTILITIES]
    reused = made.get("reuse", [])
    problems += [f"reuse: the library has no {name!r}" for name in reused if name not in library]
    if not FEWEST <= (total := len(reused) + len(made["tools"])) <= MOST:
        problems.append(f"reuse and tools: {total} together; there must be {FEWEST} to {MOST}")
    names = Counter([*reused, *(tool["name"] for tool in made["tools"])])
    problems += [f"{name}: the name is used {count} times" for name, count in names.items() if count > 1]
    problems += [f"{name}: that is the name of a utility" for name in names if name in UTILITIES]
    contracts = [library[name] for name in reused if name in library]
    for tool in made["tools"]:
        name = str(tool["name"])[:64]
        try:
            contracts.append(ToolContract(**tool))
        except ValueError as error:
            problems.append(f"{name}: {first_problem(error)}")
            continue
        if not _SNAKE_CASE.fullmatch(name):
            problems.append(f"{name}: a name must be snake_case")
        for part in ("parameters", "returns"):
            problems += [f"{name}: {part}: {problem}" for problem in _interface_problems(tool[part])]
        problems += [f"{name}: returns: {problem}" for problem in _result_problems(tool["returns"])]
    return problems + contract_problems(contracts, question)


def _interface_problems(schema: dict[str, Any]) -> list[str]:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if schema.get("type") != "object" or not properties:
        return ["it must be of type object and have properties"]
    if not required:
        return ["at least one property must be required"]
    return [f"{key} is required but is no property" for key in required if key not in properties]


def _result_problems(schema: Any) -> list[str]:
    """Results are flat, or hold lists of flat records: what a simulator can keep to, and a reader can follow."""
    problems = []
    for key, field in schema.get("properties", {}).items():
        kind = field.get("type") if isinstance(field, dict) else None
        records = field.get("items") if kind == "array" else None
        if isinstance(records, dict) and records.get("type") == "object":
            entries = records.get("properties", {}).values()
            if not entries or any(not isinstance(one, dict) or one.get("type") not in _PLAIN for one in entries):
                problems.append(f"{key}: the properties of its records must be of type {', '.join(_PLAIN)}")
        elif kind not in _PLAIN:
            problems.append(f"{key} must be of type {', '.join(_PLAIN)}, or an array of objects")
    return problems


def _repeats(asked: str, text: str) -> bool:
    told = normalize(text)
    words, told_words = set(asked.split()) - _SMALL_WORDS, set(told.split())
    return asked in told or (len(words) >= 4 and len(words & told_words) >= 0.8 * len(words))
