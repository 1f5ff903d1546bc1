"""The word list behind the base corpus: about 1,200 common English words, shipped as plain text.

`words.txt` holds one word per line under four headings (`# function`, `# noun`, `# adjective`, `# verb`; verbs in the
past tense). It was written by hand for this package. It must hold no word for a relation of the lab: the base learns
how to copy, never what the lab asks. A missing or misnamed heading raises `KeyError` at first use.
"""

from functools import cache
from importlib.resources import files

NOT_KEYS = frozenset({"name", "argument", "answer", "function", "parameter", "question", "description"})
"""Nouns that occur in prose only: as JSON keys they would resemble a tool call or a trace."""


@cache
def word_groups() -> dict[str, tuple[str, ...]]:
    """Return the words of `words.txt` by heading, in file order."""
    groups: dict[str, list[str]] = {}
    current: list[str] = []
    for line in files(__package__).joinpath("words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            current = groups.setdefault(line.removeprefix("#").strip(), [])
        elif line.strip():
            current.append(line.strip())
    return {group: tuple(words) for group, words in groups.items()}


@cache
def key_words() -> tuple[str, ...]:
    """Return the nouns that may serve as keys of records."""
    return tuple(word for word in word_groups()["noun"] if word not in NOT_KEYS)
