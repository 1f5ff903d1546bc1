"""The forms a page can take: each states facts, then uses them in ways that need copying.

Every form has the signature `form(rng, page, room)`: it appends about `room` characters to the page. All are generic:
keys are arbitrary nouns, things are pseudo-names. None has roles, tags, or a call that something answers.
"""

from collections.abc import Callable, Sequence
from random import Random

from understudy.lab.base import names
from understudy.lab.base.page import Page, filler, quoted, sentence
from understudy.lab.base.words import key_words, word_groups

Form = Callable[[Random, Page, int], None]

STATE = (
    "The {k} of {x} is {v}.", "{x} has the {k} {v}.", "{x}'s {k}: {v}.", "{k} of {x} = {v};", "{x} | {k} | {v}\n",
    "{v} is the {k} of {x}.", "{k}({x}) -> {v}\n", "As for {x}, the {k} was {v}.", "- {x} ({k}): {v}\n",
)  # fmt: skip
RETRIEVE = (
    "What is the {k} of {x}? ~{v}.", "The {k} of {x} is ~{v}.", "{x}'s {k}? It is ~{v}.", "{k} of {x}: ~{v};",
    'Which {k} has {x}? "~{v}"', "So {x} has {k} ~{v}.", "{k}({x}) -> ~{v}\n", '{{"of": {q}, "{k}": ~{w}}}',
    "What is the {k} of {x}? ~The {k} of {x} is {v}.", "{x}, {k}: ~the {k} of {x} is {v}.", '{{"{k} of {x}": ~{w}}}',
    'What is the {k} of {x}? ~{{"of": {q}, "{k}": {w}}}', '{{"{k}": ~{w}}} holds for {x}.',
)  # fmt: skip
RESTATE = (
    'Which {k} might {x} have? ~{{"of": {q}, "want": "{k}"}}', 'Find the {k} of {x}: ~{{"{k}": {q}}}',
    'How about the {k} for {x}? ~{{"key": "{k}", "thing": {q}}}', "Note {x} ({k}). ~The note was on the {k} of {x}.",
    "Is there a {k} at {x}? ~We want the {k} of {x}.", 'Take {x}, whose {k} is not known. ~{{"item": {q}}}',
)  # fmt: skip


def key(rng: Random) -> str:
    """Return a key: a noun, or two joined by an underscore."""
    return rng.choice(key_words()) if rng.random() < 0.75 else f"{rng.choice(key_words())}_{rng.choice(key_words())}"


def things(rng: Random, count: int) -> list[str]:
    """Return distinct names; often lookalikes, so that the whole name has to match."""
    return names.lookalikes(rng, count) if rng.random() < 0.15 else names.distinct(rng, count, names.full_name)


def literal(rng: Random, value: str) -> str:
    """Return a value as JSON: text in quotes, plain integers bare half of the time."""
    digits = value.removeprefix("-")
    return value if digits.isdigit() and digits[0] != "0" and rng.random() < 0.5 else quoted(value)


def gap(rng: Random) -> str:
    """Return what separates two statements."""
    return rng.choice((" ", "\n", "\n"))


def lookup(rng: Random, page: Page, room: int) -> None:
    """Records of things by keys (JSON, prose or table), idle sentences, then values asked for in any order."""
    count = max(2, min(14, int(room * rng.uniform(0.3, 0.6)) // 60))
    keys = names.distinct(rng, rng.choice((1, 1, 2, 3)), key)
    count = max(2, count // len(keys))
    xs = things(rng, count)
    facts = {x: {k: names.value(rng) for k in keys} for x in xs}
    start, style = len(page), rng.random()
    shared = rng.choice(STATE)
    bodies = {x: ", ".join(f'"{k}": {literal(rng, v)}' for k, v in record.items()) for x, record in facts.items()}
    if style < 0.2:
        page.say("".join(f'{{"of": {quoted(x)}, {body}}}\n' for x, body in bodies.items()))
    elif style < 0.35:
        page.say("".join(f"{quoted(x)}: {{{body}}},\n" for x, body in bodies.items()))
    elif style < 0.5:
        listed = ", ".join(f'{{"of": {quoted(x)}, {body}}}' for x, body in bodies.items())
        page.say(f'{{"{key(rng)}": [{listed}]}}\n')
    else:
        for x, record in facts.items():
            for k, v in record.items():
                page.fill((shared if style < 0.7 else rng.choice(STATE)) + gap(rng), k=k, x=x, v=v)
    if rng.random() < 0.3:
        page.say(filler(rng, int(room * rng.uniform(0, 0.35))))
    while len(page) < start + room:
        x, k = rng.choice(xs), rng.choice(keys)
        v = facts[x][k]
        if style < 0.5 and rng.random() < 0.3:  # the whole record, as it was stated
            page.say(f'{{"of": {quoted(x)}, ')
            page.sure(f"{bodies[x]}}}")
            page.say(gap(rng))
            continue
        form = rng.choice(RETRIEVE)
        page.fill(form + gap(rng), k=k, x=x, v=v, q=quoted(x), w=literal(rng, v) if "{w}" in form else v)


def restate(rng: Random, page: Page, room: int) -> None:
    """Questions about things never met before, each restated at once as JSON or prose."""
    start = len(page)
    while len(page) < start + room:
        x, k = (names.full_name if rng.random() < 0.8 else names.value)(rng), key(rng)
        page.fill(rng.choice(RESTATE) + gap(rng), k=k, x=x, q=quoted(x))
        if rng.random() < 0.3:
            page.say(sentence(rng) + " ")


def chain(rng: Random, page: Page, room: int) -> None:
    """Links between things, then walks along them: A's key is B, B's key is C, so C."""
    start = len(page)
    count = max(3, min(12, room // 110))
    keys = names.distinct(rng, rng.choice((1, 2, 3)), key)
    xs = things(rng, count)
    order = rng.sample(xs, len(xs))
    links = {x: (rng.choice(keys), order[(i + 1) % count]) for i, x in enumerate(order)}
    shared, mixed = rng.choice(STATE), rng.random() < 0.3
    for x in xs:
        k, v = links[x]
        if shared is STATE[0] and not mixed:
            page.say(f'{{"of": {quoted(x)}, "{k}": {quoted(v)}}}\n')
        else:
            page.fill((rng.choice(STATE) if mixed else shared) + gap(rng), k=k, x=x, v=v)
    if rng.random() < 0.4:
        page.say(filler(rng, int(room * rng.uniform(0, 0.3))))
    while len(page) < start + room:
        x = rng.choice(xs)
        walk = [x]
        for _ in range(rng.randint(2, 3)):
            walk.append(links[walk[-1]][1])
        ks = [links[y][0] for y in walk[:-1]]
        page.say(f"The {' of the '.join(reversed(ks))} of {x}? ")
        shape = rng.randrange(3)
        for y, k, z in zip(walk, ks, walk[1:], strict=False):
            page.sure(
                (f"The {k} of {y} is {z}. ", f'{{"of": {quoted(y)}, "{k}": {quoted(z)}}} ', f"{y} -> {z}; ")[shape]
            )
        page.sure(f"So it is {walk[-1]}.\n")


def nested(rng: Random, x: str, keys: list[str]) -> str:
    """Return keys of keys as one phrase, the first key next to the thing: "the c of the b of x"."""
    phrase = x
    for k in keys:
        phrase = f"{phrase}'s {k}" if phrase == x and rng.random() < 0.25 else f"the {k} of {phrase}"
    return phrase


def unroll(rng: Random, page: Page, room: int) -> None:
    """Nested phrases taken apart from the inside: which keys, in which order, and what each leads to."""
    start = len(page)
    ordered, shape = rng.random() < 0.7, rng.randrange(3)
    while len(page) < start + room:
        ks, here = names.distinct(rng, rng.randint(2, 4), key), names.full_name(rng)
        page.say(f"{rng.choice(('Seek', 'Now', 'We want', 'It was'))} {nested(rng, here, ks)}. ")
        if ordered:
            page.sure(f"From {here}: {', '.join(ks)}. ")
        for k in ks:
            v = names.value(rng) if k == ks[-1] else names.full_name(rng)
            page.sure((f"The {k} of {here} is ", f'{{"of": {quoted(here)}, "{k}": ', f"{here}, {k}: ")[shape])
            page.say((f"{v}. ", f"{quoted(v)}}} ", f"{v}; ")[shape])
            here = v
        page.sure(f"So it is {here}.\n")


def relay(rng: Random, page: Page, room: int) -> None:
    """A value appears in JSON, is said in prose, and becomes a value of the next JSON: no search, only handing on."""
    start = len(page)
    x = names.full_name(rng)
    page.say(f"Start from {x}. ")
    while len(page) < start + room:
        k, v = key(rng), names.full_name(rng) if rng.random() < 0.7 else names.value(rng)
        page.sure(f'{{"from": {quoted(x)}, "')
        if rng.random() < 0.3:  # said in passing: which of the names is new?
            first, second = rng.choice(((x, v), (v, x)))
            verb, noun = (rng.choice(word_groups()[group]) for group in ("verb", "noun"))
            page.say(f'{k}": "' + rng.choice((f"{first} {verb} {second}.", f"{first} {verb} the {noun} of {second}.")))
            page.sure('"}')
            page.say(gap(rng))
            x = v
            continue
        extra = f', "{key(rng)}": {literal(rng, names.value(rng))}' if rng.random() < 0.4 else ""
        page.say(f'{k}": {quoted(v)}{extra}}}')
        page.fill(rng.choice((" The {k} of {x} ~is {v}.", "\n~The {k} is {v}.", " ~{x} has {k} {v}.")), k=k, x=x, v=v)
        page.say(gap(rng))
        x = v


def pick(rng: Random, page: Page, room: int) -> None:
    """Numbers with a name each; asked by one of the two, the other is to be found."""
    start = len(page)
    while len(page) < start + room:
        xs = things(rng, rng.randint(2, 5))
        ns = names.distinct(rng, len(xs), names.date if rng.random() < 0.5 else names.number)
        pairs, ahead, mark = list(zip(ns, xs, strict=True)), rng.random() < 0.7, rng.choice((" ", ": ", " = "))
        page.say("; ".join(f"{n}{mark}{x}" if ahead else f"{x}{mark}{n}" for n, x in pairs) + rng.choice((". ", "? ")))
        for n, x in rng.sample(pairs, rng.randint(1, len(pairs))):
            page.fill(
                rng.choice(("{n} ~{x}. ", "{n}: ~{x}; ", "{x} ~{n}. ", '{{"{n}": ~{q}}} ')), n=n, x=x, q=quoted(x)
            )
        page.say(gap(rng))


ALIKE = (
    ("{a}, {b}: ~{same}; ", "same", "different"), ("Is {a} the same as {b}? ~{same}. ", "Yes", "No"),
    ("{a} = {b}? ~{same}. ", "yes", "no"), ('{{"a": "{a}", "b": "{b}", "equal": ~{same}}}\n', "true", "false"),
    ("{a} and {b} are ~{same}. ", "equal", "unlike"), ("{a}; {b}; ~{same}\n", "match", "no match"),
)  # fmt: skip


def alike(rng: Random, page: Page, room: int) -> None:
    """Two names or values, and whether they are the same; those that differ often share a part."""
    start = len(page)
    mixed = rng.random() < 0.5
    shape = rng.choice(ALIKE)
    while len(page) < start + room:
        template, same, other = rng.choice(ALIKE) if mixed else shape
        kind = rng.random()
        a, b = (
            names.lookalikes(rng, 2)
            if kind < 0.4
            else names.distinct(rng, 2, names.full_name if kind < 0.8 else names.value)
        )
        equal = rng.random() < 0.5
        page.fill(template, a=a, b=a if equal else b, same=same if equal else other)
        if rng.random() < 0.2:
            page.say(sentence(rng) + " ")


def rest(rng: Random, page: Page, room: int) -> None:
    """Lists that lose one entry at a time: what is left is said again, in the same order."""
    start = len(page)
    while len(page) < start + room:
        entries = names.distinct(rng, rng.randint(2, 5), key if rng.random() < 0.6 else names.full_name)
        page.say(f"All: {', '.join(entries)}. ")
        first = rng.random() < 0.7
        while len(entries) > 1:
            gone = entries[0] if first else rng.choice(entries)
            entries = [entry for entry in entries if entry != gone]
            page.fill("Less {gone}: ~{left}. ", gone=gone, left=", ".join(entries))
        page.say(gap(rng))


VERBS = ("get", "find", "list", "read", "show", "open", "trace", "take", "check", "fetch")


def match(rng: Random, page: Page, room: int) -> None:
    """Identifiers that contain a word or two, and begin with any; asked by these, the identifier is to be copied."""
    start = len(page)
    keys = names.distinct(rng, max(2, min(8, room // 160)), lambda r: key(r).replace("_", " "))
    verbs: Sequence[str] = rng.choice((VERBS, key_words(), names.distinct(rng, 5, names.stem)))
    shared = rng.choice(verbs)
    codes = {}
    for k in keys:
        verb, part = shared if rng.random() < 0.6 else rng.choice(verbs), k.replace(" ", "_")
        codes[k] = rng.choice((f"{verb}_{part}", f"{part}_{verb}", f"{verb}_{part}_of_{rng.choice(key_words())}"))
        page.fill(rng.choice(('{{"code": "{c}"}}\n', "- {c}\n", '"{c}", ', "{c}: {s}\n")), c=codes[k], s=sentence(rng))
    while len(page) < start + room:
        k, x = rng.choice(keys), names.full_name(rng)
        page.fill(rng.choice((
            "Need the {k} of {x}. ~Use {c} on {x}.", '{k}? ~{{"use": "{c}"}}', "For {k} take ~{c}.",
            'The {k} for {x}: ~{{"use": "{c}", "on": {q}}}', 'Which {k} has {x}? ~{{"code": "{c}", "of": {q}}}',
        )) + gap(rng), k=k, x=x, c=codes[k], q=quoted(x))  # fmt: skip


def echo(rng: Random, page: Page, room: int) -> None:
    """Sentences about names, some repeated word for word later."""
    start = len(page)
    said: list[str] = []
    while len(page) < start + room:
        if said and rng.random() < 0.5:
            cut = rng.choice(said).split(" ")
            head = rng.randint(1, max(1, len(cut) // 2))
            page.say("Again: " + " ".join(cut[:head]))
            page.sure(" " + " ".join(cut[head:]) + "\n")
        else:
            said.append(sentence(rng, names.full_name(rng)))
            page.say(said[-1] + gap(rng))


FORMS: tuple[tuple[Form, float], ...] = (
    (lookup, 0.3), (restate, 0.07), (chain, 0.12), (unroll, 0.12), (relay, 0.08), (pick, 0.06), (match, 0.15),
    (alike, 0.05), (rest, 0.02), (echo, 0.03),
)  # fmt: skip
"""Forms and their shares; `lookup` and `match` are the hardest and the most useful, so they have the most."""
