"""Retrieve, then extract: a policy that searches and reads in code. It sees the question and what is found, no more.

It searches for the question and for the names in it, then for whoever the found articles link them to, and takes the
answer by the type of the question: one of two, yes or no, a date of a life, a country, or else the best span.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from understudy.contract import ToolContract
from understudy.scoring import normalize
from understudy.task import Task
from understudy.teachers import comparison
from understudy.teachers.ceiling import UNKNOWN
from understudy.teachers.extract import Wanted, best_span, content_words, wanted
from understudy.teachers.plan import Step
from understudy.teachers.played import Play, Played, answering, passages, require_search, searching
from understudy.teachers.reading import NAME, TITLE, Page, dates, is_about, life, nation, place, sentences

MAX_NAMES = 3
_YES_NO = re.compile(r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will)\b", re.IGNORECASE)
_LEADING = re.compile(r"^(?:(?:What|Which|Who|Whose|Where|When|How|In|On|At|Is|Are|Was|Were|Do|Does|Did|Of|For)\b ?)+")
_TITLED = re.compile(rf"{TITLE.pattern}(?: \([^()]*\))?")
_ROLE = r"(?:director|composer|performer|producer|author|writer|founder|creator|singer)s?"
_THING = r"(?:film|song|movie|album|band|magazine|company|village|companie|book|novel)s?"
_KIND = re.compile(
    rf"^(?:both |either )?(?:(?:the )?{_ROLE} of (?:both )?)?(?:(?:the )?{_THING}\b[:,]? )?", re.IGNORECASE
)


class RetrievePolicy:
    """Searches and extracts in code: what a policy without a model reaches."""

    name = "retrieve"

    def open(self, task: Task, toolset: Sequence[ToolContract], seed: int) -> Played:
        """Start a rollout.

        Raises:
            ModelError: there is no search.
        """
        require_search(toolset)
        return Played(_play(task.question))


def _play(question: str) -> Play:
    names = named(question)
    observations = yield searching(0, "I search for the question and for what it names.", [question, *names])
    pages = [Page(*found) for found in passages(observations)]
    links = linked(question, names, pages)
    if links:
        observations = yield searching(1, "I search for whom these articles lead to.", links)
        pages += [page for found in passages(observations) if (page := Page(*found)) not in pages]
    answer = concluded(question, names, links, pages)
    yield answering(answer or UNKNOWN, "I take what fits the question best.")


def named(question: str) -> list[str]:
    """The names in a question: what it compares, or else its capitalised runs, longest first."""
    if pair := either(question):
        return list(pair)
    found = [_LEADING.sub("", match.group()).strip(" .,'") for match in _TITLED.finditer(question)]
    kept = [name for name in dict.fromkeys(found) if len(name) > 2 and not name.isdigit()]
    return sorted(kept, key=len, reverse=True)[:MAX_NAMES]


def either(question: str) -> tuple[str, str] | None:
    """The two things that a question compares, as it calls them; None when it compares none."""
    body = question.rstrip("? .")
    is_closed = _YES_NO.match(body) is not None
    if " or " in body:
        left, _, right = body.rpartition(" or ")
        if not is_closed:
            apart = left.split(", ")[1:] or left.split(": ")[1:] or [name.group() for name in TITLE.finditer(left)][1:]
            return (_thing(apart[-1]), _thing(right)) if apart else None
    elif is_closed and " and " in body:
        left, _, right = body.partition(" and ")
    else:
        return None
    first, second = _thing(_YES_NO.sub("", left).strip()), TITLE.match(_thing(right))
    return (first, second.group().rstrip(",.")) if first and second else None


def _thing(text: str) -> str:
    return _KIND.sub("", text.strip()).strip(" ,:")


def linked(question: str, names: Sequence[str], pages: Sequence[Page]) -> list[str]:
    """Who or what the articles on the named things lead to.

    These are holders of a role that the question asks about, or else names in the sentence that shares most with it.
    """
    about = [page for page in (_article(name, pages) for name in names) if page]
    found = [holder for page in about if (holder := _holder(question, page))]
    if not found and pages and either(question) is None:
        asked = set(content_words(question))
        lines = [(line, page) for page in pages[:MAX_NAMES] for line in sentences(page.text)]
        line, page = max(lines, key=lambda pair: len(asked & set(content_words(f"{pair[1].title} {pair[0]}"))))
        told = normalize(question)
        found = [page.title, *(match.group() for match in NAME.finditer(line))]
        found = [name for name in found if len(name) > 3 and normalize(name) not in told and not is_about(page, name)]
    return list(dict.fromkeys(found))[:MAX_NAMES]


def _article(name: str, pages: Sequence[Page]) -> Page | None:
    return next((page for page in pages if is_about(page, name)), None)


def _holder(question: str, page: Page) -> str:
    """Who holds the role that the question asks about, as an article tells it; empty when it doesn't."""
    for asks, told in _table()["holders"].items():
        if not re.search(rf"\b(?:{asks})\b", question):
            continue
        for match in re.finditer(rf"\b(?:{told})\b[ :]*", page.text):
            for name in NAME.finditer(page.text, match.end(), match.end() + 120):
                found = name.group().rstrip(".,")
                if not comparison.country(found) and not found[0].isdigit() and not is_about(page, found):
                    return _without_demonym(found)
    return ""


def _without_demonym(name: str) -> str:
    first, _, rest = name.partition(" ")
    return rest if rest and comparison.country(first) else name


def concluded(question: str, names: Sequence[str], links: Sequence[str], pages: Sequence[Page]) -> str:
    """The answer that the pages give; empty when they give none."""
    attribute = next((kind for asks, kind in _table()["attributes"].items() if re.search(asks, question)), "")
    if either(question) is not None:
        ends = [_end(question, _article(name, pages), pages) for name in names]
        return _compared(question, names, attribute, ends)
    subjects = [page for name in (*links, *names) for page in pages if is_about(page, name)]
    kind = wanted(question)
    for page in subjects:
        if attribute in ("birth", "death") and (found := _event(kind, attribute, page)):
            return found
        if attribute == "nation" and kind is Wanted.NATION and (found := nation(page)):
            return found if "nationality" in question else comparison.country(found)
    return best_span(question, [*subjects, *(page for page in pages if page not in subjects)])


def _event(kind: Wanted, event: str, page: Page) -> str:
    if kind is Wanted.PLACE:
        return place(page, event)
    date = life(page)[event == "death"] if kind in (Wanted.DATE, Wanted.YEAR) else ""
    return date[-4:] if kind is Wanted.YEAR else date


def _end(question: str, page: Page | None, pages: Sequence[Page]) -> Page | None:
    """The article that a comparison is about: on the holder of the role that is asked about, or on the thing itself."""
    holder = _holder(question, page) if page else ""
    return _article(holder, pages) if holder else page


def _compared(question: str, names: Sequence[str], attribute: str, ends: Sequence[Page | None]) -> str:
    if _YES_NO.match(question) and " or " not in question:
        return _both(question, names, attribute, ends)
    step = comparison.wanted(question, names)
    values = [_values(page, attribute, step) for page in ends if page and step]
    winner = comparison.chosen(step, values) if step else None
    return names[winner or 0]


def _values(page: Page, attribute: str, step: Step) -> list[str]:
    """What a comparison weighs: birth and death for the length of a life, or else one date."""
    birth, death = life(page)
    if step in (Step.LONGEST, Step.SHORTEST):
        return [birth, death]
    return [{"birth": birth, "death": death}.get(attribute) or next(iter(dates(page.text)), "")]


def _both(question: str, names: Sequence[str], attribute: str, ends: Sequence[Page | None]) -> str:
    """Yes if both articles tell the same country, or the rest of the question's words."""
    pages = [page for page in ends if page]
    if len(pages) < 2:
        return "no"
    if attribute == "nation" or "same" in question:
        first, second = (comparison.country(nation(page)) for page in pages)
        return "yes" if first and first == second else "no"
    rest = set(content_words(question)) - {word for name in names for word in content_words(name)}
    return "yes" if all(rest <= set(content_words(page.text)) for page in pages) else "no"


@cache
def _table() -> dict[str, dict[str, str]]:
    return tomllib.loads(files("understudy.teachers").joinpath("roles.toml").read_text(encoding="utf-8"))
