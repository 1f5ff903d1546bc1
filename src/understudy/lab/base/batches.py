"""Batches for pretraining: pages encoded to ids and weights, one page a row, cut or padded to one length.

Two sources feed them. Drills are random ids (any but the reserved tags): a stretch repeated from a random place, the
barest copying and the only thing that fits into 16 tokens; or records looked up again. Pages are the corpus. Both are
drawn from generators seeded by (seed, step), so a batch depends on nothing but its number.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

from understudy.lab.base.corpus import make_page
from understudy.lab.base.page import Page

CHARS_PER_TOKEN = 2.3
"""Measured over the corpus; used only to size pages."""

DRILLED = 400
"""Different ids in the drills of one batch: fewer to choose from is cheaper, and easier to begin with."""


def encode(page: Page, tokenizer: Any) -> tuple[list[int], list[bool]]:
    """Return the page's token ids and, for each, whether it starts in a predictable stretch."""
    encoding = tokenizer.backend_tokenizer.encode(page.text)
    sure, at = [], 0
    for start, _ in encoding.offsets:
        while at < len(page.spans) and page.spans[at][1] <= start:
            at += 1
        sure.append(at < len(page.spans) and page.spans[at][0] <= start)
    return encoding.ids, sure


def drill(rng: Random, ids: Sequence[int], length: int) -> tuple[list[int], list[bool]]:
    """Return `length` ids of which the second half repeats the first, from a random place on."""
    half = length // 2
    first = [rng.choice(ids) for _ in range(half)]
    offset = rng.randrange(max(1, half // 2))
    row = (first + first[offset:] + first)[:length]
    return row, [False] * (half + 1) + [True] * (length - half - 1)


def record_drill(rng: Random, ids: Sequence[int], length: int) -> tuple[list[int], list[bool]]:
    """Return records `thing, mark, key, mark, value, mark` of random ids, then some of them again, value predictable.

    The key stands between thing and value, so that repeating what followed the last few ids is not enough.
    """
    marks = rng.sample(ids, 3)
    pool = rng.sample(ids, 4)  # things may share ids: one id seldom decides
    keys = rng.sample(ids, rng.randint(1, 2))
    facts: dict[tuple[int, ...], list[int]] = {}
    while not facts or len(facts) * 11 < length * 0.5:
        thing = tuple(rng.choice(pool if rng.random() < 0.3 else ids) for _ in range(rng.randint(1, 3)))
        for key in keys:
            facts[(*thing, marks[0], key)] = [rng.choice(ids) for _ in range(rng.randint(1, 3))]
    row: list[int] = []
    sure: list[bool] = []
    queries = list(facts)
    rng.shuffle(queries)
    for again, order in ((False, list(facts)), (True, queries * 8)):
        for thing_key in order:
            value = [*facts[thing_key], marks[2]]
            row += [*thing_key, marks[1], *value]
            sure += [False] * (len(thing_key) + 1) + [again] * len(value)
            if len(row) >= length:
                return row[:length], sure[:length]
    return row, sure


def draw(
    seed: int, step: int, part: int, rows: int, length: int, drills: float, ids: Sequence[int], tokenizer: Any
) -> list[Any]:
    """Return `rows` pairs (ids, sure) of at most `length` tokens; a share `drills` of them are drills.

    Args:
        seed: seed of the run.
        step: number of the batch.
        part: which process draws; each part of each batch has its own generator.
        rows: sequences in the batch.
        length: tokens a sequence may have.
        drills: share of drills, 0 to 1.
        ids: token ids that drills are made of.
        tokenizer: the base's tokenizer.
    """
    rng = Random(f"base-batch-{seed}-{step}-{part}")
    drilled = rng.sample(ids, min(DRILLED, len(ids)))
    batch = []
    for _ in range(rows):
        if rng.random() < drills:
            batch.append((drill if length < 32 or rng.random() < 0.4 else record_drill)(rng, drilled, length))
        else:
            row, sure = encode(make_page(rng, int(length * CHARS_PER_TOKEN)), tokenizer)
            batch.append((row[:length], sure[:length]))
    return batch


def collate(batch: list[Any], pad: int, length: int) -> tuple[Any, Any]:
    """Return `(ids, sure)`: int64 and bool tensors of shape (rows, `length`), padded on the right."""
    import torch

    ids = torch.full((len(batch), length), pad)
    sure = torch.zeros((len(batch), length), dtype=torch.bool)
    for i, (row, marks) in enumerate(batch):
        ids[i, : len(row)] = torch.tensor(row)
        sure[i, : len(row)] = torch.tensor(marks)
    return ids, sure
