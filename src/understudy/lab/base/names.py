"""Pseudo-names and other values worth copying, drawn from a seeded generator.

Copying has to carry over to names that were never seen, so the shapes are as varied as we could make them: spoken
syllables, raw letter strings, several words, initials, codes, identifiers, dates, signed quantities. No list of names
is kept: the space is far larger than any corpus drawn from it.
"""

import random
import string
import zlib
from collections.abc import Callable

from understudy.lab.base.tokenizer import CODAS, NUCLEI, ONSETS
from understudy.lab.base.words import key_words, word_groups

HELD_OUT = 12
UNSPOKEN = "bcdfghjklmnpqrstvwxz"
PLAIN = "bcdfghjklmnprstvwz"
CLUSTER_LIST = (
    "b br bl c ch cl cr d dr dw f fl fr g gh gl gn gr h j k kl kn kr kv l ll m mb mc n nd ng p ph pl pr ps qu r rh "
    "s sc sch sh sk sl sm sn sp spr squ st str sv sw t th tr ts tw v vl w wh wr x y z zh"
)
VOWEL_LIST = "a e i o u y aa ae ai au ay ea ee ei eo eu ey ia ie io oa oe oi oo ou oy ua ue ui é ö ü á"
CLOSING_LIST = (
    "b bs ck ct d ff ft g gg ht k ks l lb ld lf ll lm ln lt m mb mp n nch nd ng nk ns nt p ps pt r rd rg rk rl rm "
    "rn rp rs rt s sh sk sp ss st t tch th ts tt v w x z zz"
)
CLUSTERS, VOWELS, CLOSINGS = CLUSTER_LIST.split(), VOWEL_LIST.split(), CLOSING_LIST.split()
LINKS = ("of", "the", "de", "van", "al", "and", "in", "du", "von", "on")
UNITS = ("kg", "km", "m", "cm", "s", "h", "%", "g", "l", "points")


def syllable(rng: random.Random) -> str:
    """Return one spoken syllable: mostly plain ones, with a broad tail of clusters, diphthongs and accents."""
    plain = rng.random()
    onset = rng.choice(PLAIN) if plain < 0.65 else rng.choice(CLUSTERS) if plain < 0.9 else ""
    vowel = rng.choice("aeiou") if rng.random() < 0.85 else rng.choice(VOWELS)
    end = rng.random()
    return onset + vowel + (rng.choice("nrlstkmd") if end < 0.3 else rng.choice(CLOSINGS) if end < 0.42 else "")


def held_out(word: str) -> bool:
    """Whether a pseudo-word never occurs in the corpus, as one in twelve: names to be met later are made of these."""
    return zlib.crc32(word.lower().encode()) % HELD_OUT == 0


def closed(rng: random.Random, syllables: int) -> str:
    """Return a lower-case pseudo-word of closed syllables, each a token of its own."""
    return "".join(rng.choice(ONSETS) + rng.choice(NUCLEI) + rng.choice(CODAS) for _ in range(syllables))


def stem(rng: random.Random) -> str:
    """Return one lower-case pseudo-word of 2 to about 12 letters."""
    kind = rng.random()
    if kind < 0.65:
        made = closed(rng, rng.choices((1, 2, 3), (1, 6, 1))[0])
    elif kind < 0.8:
        made = "".join(syllable(rng) for _ in range(rng.choices((1, 2, 3, 4), (3, 5, 1.5, 0.2))[0]))
    elif kind < 0.94:  # strictly alternating letters: the plainest names
        first = rng.randrange(2)
        letters = (PLAIN, "aeiou")
        made = "".join(rng.choice(letters[(first + i) % 2]) for i in range(rng.randint(3, 7)))
    else:  # any letters but vowels
        made = "".join(rng.choice(UNSPOKEN) for _ in range(rng.randint(2, 6)))
    return stem(rng) if held_out(made) else made


def proper(rng: random.Random) -> str:
    """Return one capitalised pseudo-word."""
    return stem(rng).capitalize()


def title(rng: random.Random) -> str:
    """Return capitalised English words, such as 'Silent Copper Gate'."""
    groups = word_groups()
    words = [rng.choice(groups["adjective"])] if rng.random() < 0.6 else []
    words += [rng.choice(groups["noun"]) for _ in range(rng.choice((1, 1, 2)))]
    text = " ".join(word.capitalize() for word in words)
    return f"The {text}" if rng.random() < 0.3 else text


def full_name(rng: random.Random) -> str:
    """Return a name of one to four words, mostly pseudo-words."""
    kind = rng.random()
    if kind < 0.35:
        return proper(rng)
    if kind < 0.65:
        return f"{proper(rng)} {proper(rng)}"
    if kind < 0.7:
        return f"{rng.choice(string.ascii_uppercase)}. {proper(rng)}"
    if kind < 0.75:
        return f"{proper(rng)} {rng.choice(LINKS)} {proper(rng)}"
    if kind < 0.78:
        return f"{proper(rng)}-{proper(rng)}"
    if kind < 0.85:
        return f"{proper(rng)} {rng.choice(word_groups()['noun']).capitalize()}"
    if kind < 0.87:
        return f"{proper(rng)} {proper(rng)} {proper(rng)}"
    return title(rng)


def number(rng: random.Random) -> str:
    """Return a quantity as text, a third of them negative, some with separators, fractions or units."""
    size = 10 ** rng.randint(1, 7)
    value = rng.randrange(size)
    text = f"{value:,}" if rng.random() < 0.2 else str(value)
    if rng.random() < 0.15:
        text += f".{rng.randrange(100)}"
    if rng.random() < 0.2:
        text += f" {rng.choice(UNITS)}"
    return f"-{text}" if rng.random() < 0.33 else text


def date(rng: random.Random) -> str:
    """Return a year or an ISO date between 1500 and 2100."""
    year = rng.randint(1500, 2100)
    return str(year) if rng.random() < 0.5 else f"{year}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def identifier(rng: random.Random) -> str:
    """Return a snake_case identifier of two or three words, or a code such as 'QX-417'."""
    if rng.random() < 0.2:
        letters = "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.randint(1, 3)))
        return f"{letters}-{rng.randrange(1000)}"
    groups = word_groups()
    parts = [rng.choice(key_words()), *([rng.choice(groups["adjective"])] if rng.random() < 0.3 else [])]
    parts.append(rng.choice(key_words()))
    return "_".join(parts)


def word(rng: random.Random) -> str:
    """Return a lower-case word: English three times in four, else a pseudo-word."""
    return rng.choice(word_groups()[rng.choice(("noun", "adjective"))]) if rng.random() < 0.75 else stem(rng)


KINDS: tuple[tuple[Callable[[random.Random], str], float], ...] = (
    (full_name, 0.55), (number, 0.13), (date, 0.1), (identifier, 0.08), (word, 0.06), (title, 0.08),
)  # fmt: skip


def value(rng: random.Random) -> str:
    """Return any value worth copying."""
    makers, weights = zip(*KINDS, strict=True)
    made: str = rng.choices(makers, weights)[0](rng)
    return made


def distinct(rng: random.Random, count: int, make: Callable[[random.Random], str]) -> list[str]:
    """Return `count` different texts from `make`, in order of drawing."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[make(rng)] = None
    return list(found)


def lookalikes(rng: random.Random, count: int) -> list[str]:
    """Return `count` different full names that share first or last words, so that one word never decides."""
    pool = max(2, int(count**0.5) + 1)
    first, last = distinct(rng, pool, proper), distinct(rng, pool, proper)
    pairs = [f"{a} {b}" for a in first for b in last]
    rng.shuffle(pairs)
    return pairs[:count]
