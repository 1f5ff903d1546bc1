"""Text tools for question answering: count, extract, compare."""

from __future__ import annotations

import re
from typing import Any

from understudy.contract import ToolContract
from understudy.errors import ToolError
from understudy.scoring import normalize
from understudy.tools.utilities.utility import Utility, object_schema, text_schema

MAX_TEXT = 20_000
MAX_ITEMS = 100

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_COUNTED = {
    "characters": re.compile(r"(?s)."),
    "letters": re.compile(r"[^\W\d_]"),
    "words": _WORD,
    "sentences": re.compile(r"[^.!?\s][^.!?]*"),
}
_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
# Every pattern takes linear time: no part can match the same text in two ways under repetition.
_EXTRACTED = {
    "numbers": re.compile(r"(?<![\w.])-?\d{1,20}(?:,\d{3}){0,6}(?:\.\d{1,20})?(?!\w)"),
    "years": re.compile(r"\b(?:1\d{3}|20\d{2})\b"),
    "dates": re.compile(rf"\b(?:\d{{1,2}} {_MONTH},? \d{{3,4}}|{_MONTH} \d{{1,2}}, \d{{3,4}}|\d{{4}}-\d\d-\d\d)\b"),
    "quoted": re.compile(r"[\"“]\s*([^\"“”]{1,200}?)\s*[\"”]"),
    "names": re.compile(r"\b[A-Z][\w'’-]{0,40}(?: (?:(?:of|de|von|van|the|al|la) )?[A-Z][\w'’-]{0,40}){0,6}"),
}


def _count(arguments: dict[str, Any]) -> dict[str, Any]:
    text, unit = arguments["text"], arguments["unit"]
    if unit != "phrase":
        return {"count": sum(1 for _ in _COUNTED[unit].finditer(text))}
    phrase = normalize(arguments.get("phrase", ""))
    if not phrase:
        raise ToolError("give the phrase to count")
    return {"count": f" {normalize(text)} ".replace(" ", "  ").count(f" {phrase.replace(' ', '  ')} ")}


def _extract(arguments: dict[str, Any]) -> dict[str, Any]:
    found = dict.fromkeys(match[match.re.groups] for match in _EXTRACTED[arguments["what"]].finditer(arguments["text"]))
    return {"items": list(found)[:MAX_ITEMS]}


def _compare(arguments: dict[str, Any]) -> dict[str, Any]:
    first, second = normalize(arguments["first"]), normalize(arguments["second"])
    return {"same": first == second, "first_in_second": first in second, "second_in_first": second in first}


_TEXT = text_schema("The text to look at", MAX_TEXT)

TEXT_COUNT = Utility(
    ToolContract(
        name="text_count",
        description="Count the characters, letters, words or sentences of a text, or how often a phrase occurs in it.",
        parameters=object_schema(
            {"text": _TEXT, "unit": {"enum": [*_COUNTED, "phrase"]}},
            {"phrase": text_schema("The phrase to count, when unit is phrase", 200)},
        ),
        returns=object_schema({"count": {"type": "integer"}}),
    ),
    _count,
)

TEXT_EXTRACT = Utility(
    ToolContract(
        name="text_extract",
        description=f"List numbers, years, dates, quoted phrases or capitalised names in a text, up to {MAX_ITEMS}.",
        parameters=object_schema({"text": _TEXT, "what": {"enum": list(_EXTRACTED)}}),
        returns=object_schema({"items": {"type": "array", "items": {"type": "string"}}}),
    ),
    _extract,
)

TEXT_COMPARE = Utility(
    ToolContract(
        name="text_compare",
        description="Whether two texts are the same or one holds the other, apart from case, punctuation and articles.",
        parameters=object_schema({"first": text_schema("A text", 2000), "second": text_schema("Another text", 2000)}),
        returns=object_schema(
            {
                "same": {"type": "boolean"},
                "first_in_second": {"type": "boolean"},
                "second_in_first": {"type": "boolean"},
            }
        ),
    ),
    _compare,
)
