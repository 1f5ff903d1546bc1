"""The base's tokenizer: byte-level BPE whose pieces of a word do not depend on where the word stands.

A model this small reads and copies token by token, so `mayor` in `the mayor of`, in `get_mayor` and in `"mayor"` must
be one and the same token, and ` Kesh` in prose and `"Kesh` in JSON must split alike. The usual byte-level split glues a
leading space to every word, which gives two spellings of each. Here a space stands alone, except before a few function
words (` of`, ` the`), which nobody looks for. Digits and minus signs are single tokens. The usual JSON joints (`": "`,
`", "`) are single tokens.

The chat template is left unset: this package knows no roles.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from understudy.lab.base.corpus import pages
from understudy.lab.base.names import full_name, identifier, proper
from understudy.lab.base.page import sentence

VOCAB_SIZE = 2560
PAD, END = "<|pad|>", "<|end|>"
CONTROL = (PAD, END, "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
TAGS = (
    "<think>", "</think>", "<tool_call>", "</tool_call>",
    "<tool_response>", "</tool_response>", "<answer>", "</answer>",
)  # fmt: skip
RESERVED = CONTROL + TAGS
"""Single tokens with ids 0..13, in this order. None occurs in the corpus. Only CONTROL is skipped when decoding."""

ARGUMENTS = '", "arguments": {"'
"""A joint of every tool call. The weights never met it: the corpus has no such key."""

GLUED = (
    "of the|the|of|a|an|and|or|is|are|was|were|be|in|at|on|by|to|for|with|as|it|its|that|which|who|what|has|have|had|"
    "do|does|did|from|than|so|then|i|they|their|my|me"
)
"""Function words that take the space before them along."""
SPLIT = (
    r"""", "arguments": \{"|": [\[{]?"|": |", "|"[\]}]+|\{"|\p{N}|-|'s(?!\p{L})|\p{Lu}\p{Ll}*"""
    rf"""| (?:{GLUED})(?!\p{{L}})|\p{{Ll}}+|\p{{L}}| ?["(\[{{](?!\s)|[^\s\p{{L}}\p{{N}}"-]+|"|\s"""
)
"""Pre-tokenizer pattern; BPE merges never cross its pieces."""


CONSONANTS = "bcdfghjklmnprstvwz"
LETTERS = "aeiou" + CONSONANTS + "y"
FOLLOWING = {True: "nrlsmtdb", False: "aeioulrhwjvn"}
"""Letters that often follow a capital vowel (True) or consonant (False)."""


@cache
def everyday_words() -> tuple[str, ...]:
    """Return the words of `everyday.txt`: common English that costs one token.

    A real tokenizer has seen everything that people write, and so these words include what the lab asks about. No page
    of the corpus holds those: they are met in drills alone, as ids among other random ids.
    """
    return tuple(files(__package__).joinpath("everyday.txt").read_text(encoding="utf-8").split())


def letter_pairs() -> Iterator[str]:
    """Yield pairs of letters: as single tokens they let any made-up word of four letters cost two."""
    yield from (first + second for first in LETTERS for second in LETTERS)
    for first in LETTERS:
        yield from (first.upper() + second for second in FOLLOWING[first in "aeiou"])


def training_text(seed: int = 0, count: int = 3000) -> Iterator[str]:
    """Yield the text BPE is trained on: JSON joints, everyday words and letter pairs by weight, then pages."""
    rng = Random(f"base-tokenizer-{seed}")
    for _ in range(4000):
        yield '{"a": {"b": ["c"]}, "d": -1, "e": [{"f": 2}, {"g": "h"}]}, "i": {"j": "k"}}'
        yield f'"a{ARGUMENTS}b'
    for word in everyday_words():
        yield from (f"_{word}" for _ in range(1200))
    for pair in letter_pairs():
        yield from (f'"{pair}"' for _ in range(1500))
    yield from islice((page.text for page in pages(seed, 500)), count // 12)
    for _ in range(count):
        yield sentence(rng)
        yield f'{full_name(rng)}, "{proper(rng)}", "{identifier(rng)}", {" ".join(proper(rng) for _ in range(6))}'


def build_tokenizer(seed: int = 0) -> Any:
    """Train the tokenizer; return a `PreTrainedTokenizerFast` of VOCAB_SIZE tokens (deterministic in `seed`)."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[AddedToken(text, special=text in CONTROL, normalized=False) for text in RESERVED],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(training_text(seed), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=END, padding_side="left",
        clean_up_tokenization_spaces=False, model_max_length=1024,
    )  # fmt: skip


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer saved in `folder`; raises `OSError` when its files are missing."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(str(folder))
