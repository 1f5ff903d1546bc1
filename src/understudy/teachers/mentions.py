"""Names in text: where a question has a name, in its own spelling, and whether text is made of known words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from understudy.checks.text import WORD, fold, words

_PARENTHESIS = re.compile(r"\s*\([^()]*\)")
_CLOSING = ".!?)…'\"’”"
_OPENING = "(\"'“‘…."
_LINKS = frozenset(("of", "the", "and", "in", "on", "at", "for", "to", "a", "an", "de", "von", "van", "la", "le", "al"))


def bare(name: str) -> str:
    """A name without what stands in parentheses."""
    return _PARENTHESIS.sub("", name).strip() or name


def same_name(first: str, second: str) -> bool:
    """Whether two names are one, apart from parentheses, case, accents and punctuation."""
    return words(bare(first)) == words(bare(second))


def is_name(text: str) -> bool:
    """Whether every word is capitalised, a number or a reference such as #1, small words in between aside."""
    found = text.removeprefix("the ").split()
    return bool(found) and not found[0][0].islower() and all(not w[0].islower() or w in _LINKS for w in found)


class Text:
    """Text that names are looked for in.

    Args:
        text: what is searched.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._spans = [(match.start(), match.end()) for match in WORD.finditer(text)]
        self._tokens = [fold(text[start:end]).lower() for start, end in self._spans]

    def find(self, name: str) -> str:
        """The name as the text spells it, with the punctuation that belongs to it; empty when it isn't there."""
        tokens = [fold(word).lower() for word in WORD.findall(name)]
        if not tokens:
            return ""
        for start in range(len(self._tokens) - len(tokens) + 1):
            if self._tokens[start] == tokens[0] and self._tokens[start : start + len(tokens)] == tokens:
                return self._with_punctuation(name, self._spans[start][0], self._spans[start + len(tokens) - 1][1])
        return ""

    def longest(self, name: str) -> str:
        """The longest run of a name's words that the text has, if that is more than half of them; else empty."""
        found = name.split()
        for length in range(len(found), len(found) // 2, -1):
            for start in range(len(found) - length + 1):
                if spelled := self.find(" ".join(found[start : start + length])):
                    return spelled
        return ""

    def _with_punctuation(self, name: str, start: int, end: int) -> str:
        opening = len(name) - len(name.lstrip(_OPENING))
        closing = len(name) - len(name.rstrip(_CLOSING))
        if opening and self.text[max(0, start - opening) : start] == name[:opening]:
            start -= opening
        if closing and self.text[end : end + closing] == name[len(name) - closing :]:
            end += closing
        return self.text[start:end]


class Known:
    """The words that a policy has read so far.

    Args:
        texts: the question, and what was observed.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._words: set[str] = set()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Read more."""
        self._words.update(words(text))

    def strange(self, text: str) -> list[str]:
        """The words of a text that haven't been read, small words aside."""
        return [word for word in words(text) if word not in self._words and word not in _LINKS]
