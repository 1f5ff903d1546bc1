"""A page of the corpus: text, and which stretches of it a reader could have predicted.

A page has no tags and no roles. `sure` marks what follows from the text before it (a retrieved value, a repeated
sentence): the stretches that carry the training loss.
"""

import json
from dataclasses import dataclass, field
from functools import partial
from random import Random

from understudy.lab.base.names import proper
from understudy.lab.base.words import word_groups


@dataclass
class Page:
    """Text under construction; `spans` are half-open character ranges of the predictable stretches."""

    text: str = ""
    spans: list[tuple[int, int]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Append text that cannot be predicted."""
        self.text += text

    def sure(self, text: str) -> None:
        """Append text that follows from what is already on the page."""
        self.spans.append((len(self.text), len(self.text) + len(text)))
        self.text += text

    def fill(self, template: str, **values: str) -> None:
        """Append a template; what stands after its `~`, if it has one, is predictable."""
        known, _, follows = template.partition("~")
        self.say(known.format(**values))
        if follows:
            self.sure(follows.format(**values))

    def __len__(self) -> int:
        return len(self.text)


def quoted(text: str) -> str:
    """Return text as a JSON string, non-ASCII letters kept."""
    return json.dumps(text, ensure_ascii=False)


def sentence(rng: Random, name: str | None = None) -> str:
    """Return one English-like sentence; `name`, or sometimes a fresh pseudo-name, stands in it."""
    groups = word_groups()
    noun, adjective, verb = (partial(rng.choice, groups[group]) for group in ("noun", "adjective", "verb"))
    small = groups["function"]
    who = name or (proper(rng) if rng.random() < 0.3 else f"the {noun()}")
    shape = rng.randrange(5)
    if shape == 0:
        text = f"the {adjective()} {noun()} {verb()} {rng.choice(small)} {who}"
    elif shape == 1:
        text = f"{who} {verb()} a {noun()} and {verb()} the {adjective()} {noun()}"
    elif shape == 2:
        text = f"in the {noun()}, {who} was {adjective()} {rng.choice(small)} {adjective()}"
    elif shape == 3:
        text = f"{rng.choice(small)} {rng.choice(small)} {noun()} {verb()} {who} {rng.choice(small)} a {noun()}"
    else:
        text = f"{who} is {adjective()}, so the {noun()} {verb()} {rng.choice(small)} it"
    return text[0].upper() + text[1:] + rng.choice("...?;")


def filler(rng: Random, room: int) -> str:
    """Return sentences that matter to nothing, about `room` characters of them."""
    text = ""
    while len(text) < room:
        text += sentence(rng) + " "
    return text
