"""Documents: an entity's facts as prose, and prose read back into facts.

Each relation has several wordings (``relations.toml``). The first sentence names the entity and its type, later ones
may say "it", "she" or "the film". Reading inverts exactly these wordings and ignores every other sentence.
"""

from __future__ import annotations

import random
import re
from functools import cache

from understudy.lab.relations import ENTITY_TYPES, relations
from understudy.lab.universe import Entity
from understudy.task import Fact, Passage

_SENTENCE_END = re.compile(r"(?<=[a-z0-9²])\.(?:\s+|$)")
_REFERENCE = re.compile(rf"^(?:He|She|It)\b|\b[Tt]he (?:{'|'.join(ENTITY_TYPES)})\b")
_SUBJECT = "\0"


def document(entity: Entity, seed: int = 0, supporting: bool = False) -> Passage:
    """The document of an entity; the seed chooses order and wording."""
    rng = random.Random(f"document-{seed}-{entity.id}-{entity.name}")
    pronoun = ("He" if entity.male else "She") if entity.type == "person" else "It"
    parts = [f"{entity.name}, also known as {entity.aliases[0]}, is a {entity.type}."]
    stated = list(entity.facts.items())
    rng.shuffle(stated)
    for name, value in stated:
        wording = rng.choice(relations()[name].wordings)
        opens = wording.startswith("{s}")
        reference = rng.choice(
            (entity.name, pronoun if opens else entity.name, f"{'The' if opens else 'the'} {entity.type}")
        )
        parts.append(wording.format(s=reference, o=value))
    return Passage(title=entity.name, text=" ".join(parts), supporting=supporting)


def sentence(subject: str, relation: str, value: str) -> str:
    """One fact in the first wording of its relation."""
    return relations()[relation].wordings[0].format(s=subject, o=value)


def sentences(text: str) -> list[str]:
    """The sentences of a document, without their full stops. An initial ("K. Falz") ends none."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def read(title: str, text: str) -> list[Fact]:
    """The facts that a text titled with its subject states, in order."""
    found = []
    for said in sentences(text):
        if title in said:
            said = said.replace(title, _SUBJECT, 1)
        elif references := list(_REFERENCE.finditer(said)):
            # "The country of the city": what is spoken of comes last.
            said = said[: references[-1].start()] + _SUBJECT + said[references[-1].end() :]
        if (fact := _read_sentence(said)) is not None:
            found.append(Fact(subject=title, relation=fact[0], object=fact[1]))
    return found


def _read_sentence(said: str) -> tuple[str, str] | None:
    for before, after, relation in _frames():
        if said.startswith(before) and said.endswith(after) and len(said) > len(before) + len(after):
            value = said[len(before) : len(said) - len(after)]
            if _SUBJECT not in value:
                return relation, value
    return None


@cache
def _frames() -> tuple[tuple[str, str, str], ...]:
    """What stands before and after the object in every wording, the most specific first."""
    frames = []
    for relation in relations().values():
        for wording in relation.wordings:
            before, after = wording.removesuffix(".").replace("{s}", _SUBJECT).split("{o}")
            frames.append((before, after, relation.name))
    return tuple(sorted(frames, key=lambda frame: -len(frame[0]) - len(frame[1])))
