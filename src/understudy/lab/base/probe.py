"""How well a model copies: names it never saw, across a measured distance, in the forms a trace needs.

The names are made of words that are held out from the corpus, so nothing can have been memorised. A sample
counts as right when every token of the value, and the mark that closes it, is the argmax given what came before: that
is the same event as greedy decoding writing exactly the value and stopping, and it needs one forward pass. Whether a
space comes with the mark is a matter of taste, as a line may end there or go on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

from understudy.lab.base.names import closed, held_out
from understudy.lab.base.page import filler

KEYS = ("color", "shape", "weight", "signal", "garden", "metal", "copper_plate", "market", "lamp", "reason")


@dataclass(frozen=True)
class CopyScore:
    """Share of values copied exactly."""

    value: float
    """Exact matches over samples, 0 to 1."""
    n: int
    """Samples."""
    distance: int
    """Least number of tokens between the end of the source and the point of use."""
    by_form: dict[str, float]
    """The same share for each form."""


def unseen_name(rng: Random, tokenizer: Any) -> str:
    """Return a name of one or two capitalised words that is 2 to 5 tokens long."""
    while True:
        words = [closed(rng, rng.choice((1, 2, 2, 2, 3))) for _ in range(rng.randint(1, 2))]
        text = " ".join(word.capitalize() for word in words)
        if all(map(held_out, words)) and 2 <= len(tokenizer(text)["input_ids"]) <= 5:
            return text


def _records(rng: Random, name: Callable[[], str]) -> tuple[list[str], int, str, str]:
    """JSON: the last value of one record among ten."""
    k1, k2 = rng.sample(KEYS, 2)
    rows = [(name(), name(), name()) for _ in range(10)]
    at = rng.randrange(10)
    facts = [f'{{"of": "{x}", "{k1}": "{v}", "{k2}": "{w}"}}\n' for x, v, w in rows]
    # The record is asked for as it was stated, so that what follows the value is no matter of taste.
    return facts, at, f'{{"of": "{rows[at][0]}", "{k1}": "{rows[at][1]}", "{k2}": "', rows[at][2] + '"}'


def _prose(rng: Random, name: Callable[[], str]) -> tuple[list[str], int, str, str]:
    """Prose: what was said of one thing among ten."""
    k = rng.choice(KEYS)
    rows = [(name(), name()) for _ in range(10)]
    at = rng.randrange(10)
    facts = [f"The {k} of {x} is {v}. " for x, v in rows]
    return facts, at, f"\nWhat is the {k} of {rows[at][0]}? The {k} of {rows[at][0]} is ", rows[at][1] + "."


def _chain(rng: Random, name: Callable[[], str]) -> tuple[list[str], int, str, str]:
    """Two links: the first is met again just before, the second has to be found."""
    k = rng.choice(KEYS)
    xs = [name() for _ in range(11)]
    rows = list(pairwise(xs))
    at = rng.randrange(1, 9)
    a, b, c = xs[at - 1], xs[at], xs[at + 1]
    order = rng.sample([row for row in rows if row[0] != c], 9)  # what c leads to would name c nearer than `distance`
    facts = [f"The {k} of {x} is {v}. " for x, v in order]
    cue = f"\nThe {k} of the {k} of {a}? The {k} of {a} is {b}. The {k} of {b} is "
    return facts, order.index((b, c)), cue, c + "."


FORMS = {"json": _records, "prose": _prose, "chain": _chain}


def sample(rng: Random, tokenizer: Any, form: str, distance: int) -> tuple[list[int], int]:
    """Return one sequence of token ids, and how many of its last ids are the value to be copied and its closing mark.

    Idle sentences stand between facts and use so that at least `distance` tokens separate the value from its copy.
    """
    met: set[str] = set()

    def fresh() -> str:
        while (name := unseen_name(rng, tokenizer)) in met:
            pass
        met.add(name)
        return name

    facts, at, cue, target = FORMS[form](rng, fresh)
    before, after, asked, goal = (
        list(tokenizer(text)["input_ids"]) for text in ("".join(facts[: at + 1]), "".join(facts[at + 1 :]), cue, target)
    )
    pause: list[int] = []
    while (missing := distance - len(after) - len(pause) - len(asked)) > 0:
        pause += tokenizer(filler(rng, missing))["input_ids"]
    return before + after + pause + asked + goal, len(goal)


def copy_accuracy(model: Any, tokenizer: Any, seed: int, distance: int, n: int = 96, rows: int = 16) -> CopyScore:
    """Measure exact greedy copying of unseen names.

    Args:
        model: a causal language model (logits of shape (rows, length, vocabulary)); it is left in evaluation mode.
        tokenizer: its tokenizer.
        seed: seed of the samples; the same seed gives the same samples.
        distance: least number of tokens between a value and its copy.
        n: samples, shared evenly by the forms.
        rows: samples per forward pass.

    Returns:
        The share of exact copies, overall and by form.
    """
    import torch

    rng = Random(f"base-probe-{seed}-{distance}")
    names = list(FORMS)
    drawn = [(names[i % len(names)], *sample(rng, tokenizer, names[i % len(names)], distance)) for i in range(n)]
    right: dict[str, list[bool]] = {name: [] for name in names}
    model.eval()
    with torch.inference_mode():
        for at in range(0, n, rows):
            part = drawn[at : at + rows]
            longest = max(len(ids) for _, ids, _ in part)
            batch = torch.tensor([ids + [0] * (longest - len(ids)) for _, ids, _ in part])
            best = model(input_ids=batch).logits.argmax(-1)  # causal: padding on the right changes nothing before it
            for i, (form, ids, goal) in enumerate(part):
                end = len(ids)
                said, wanted = tokenizer.batch_decode([best[i, end - goal - 1 : end - 1], ids[end - goal :]])
                right[form].append(said.rstrip() == wanted)
    total = sum(len(marks) for marks in right.values())
    by_form = {form: sum(marks) / max(1, len(marks)) for form, marks in right.items()}
    return CopyScore(sum(map(sum, right.values())) / total, total, distance, by_form)
