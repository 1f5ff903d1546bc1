"""The base's tokenizer: byte-level BPE whose pieces of a word do not depend on where the word stands.

A model this small reads and copies token by token, so `mayor` in `the mayor of`, in `get_mayor` and in `"mayor"` must
be one and the same token, and ` Kesh` in prose and `"Kesh` in JSON must split alike. The usual byte-level split glues a
leading space to every word, which gives two spellings of each. Here spaces go with what nobody looks for: function
words (` of `, ` is `), stops (`: `, `, `), and the inside of a name (`Kesh ` in `Kesh Morvan`, wherever that name
stands). Numbers are pairs of digits from the left. The usual JSON joints (`": "`, `", "`) are single tokens.

The merges are listed, not learned: consonant and vowel, then a closing consonant, then everyday words, built from
these. So a pseudo-word costs one token per syllable, and a syllable is one of 1,080 closed ones: names in one context
seldom begin with the same token, as they seldom do under the large vocabulary of a real model. (Learned merges cut
names into single letters and pairs, of which any two names share some; then a copy can go astray at every token.)

The chat template is left unset: this package knows no roles.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

VOCAB_SIZE = 3552
PAD, END = "<|pad|>", "<|end|>"
CONTROL = (PAD, END, "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
TAGS = (
    "<think>", "</think>", "<tool_call>", "</tool_call>",
    "<tool_response>", "</tool_response>", "<answer>", "</answer>",
)  # fmt: skip
RESERVED = CONTROL + TAGS
"""Single tokens with ids 0..13, in this order. None occurs in the corpus. Only CONTROL is skipped when decoding."""

JOINTS = ('{"name": "', '", "arguments": {"', '": "', '": ["', '": {"', '": [{"', '": [', '": ', '", "', '", ', ', "',
          '{"', '"}', '"]', '}}', '}]', '"}}', '"}]', '"}]}', '},', ")\n", "_of_", "'s", "'s ", ". ", ", ", ": ", "; ",
          "? ")  # fmt: skip
"""What stands between keys and values in JSON, the possessive, stops with the space behind them. The first two are a
tool call's: no page of the corpus has such keys, so they are met in drills alone."""

GLUED = (
    "of the|the|of|a|an|and|or|is|are|was|were|be|in|at|on|by|to|for|with|as|it|its|that|which|who|what|has|have|had|"
    "do|does|did|from|than|so|then|i|they|their|my|me"
)
"""Function words that take the spaces around them along."""
SPLIT = "|".join(
    (
        r'\{"name": "|", "arguments": \{"|": \[(?=\{"name": ")|": [\[{]*"?|": |", "|", |, "|"[\]}]+|\{"',
        r"\p{N}{1,2}|-|'s(?!\p{L}) ?|\)\n|_of_|[.,:;?] ",
        rf"(?i: ?(?:{GLUED})(?!\p{{L}}) ?)",
        r"\p{Lu}\p{Ll}*(?: (?=\p{Lu}))?|\p{Ll}+|\p{L}",
        r' ?["(\[{](?!\s)|[^\s\p{L}\p{N}"-]+|"|\s',
    )
)
"""Pre-tokenizer pattern; BPE merges never cross its pieces."""

ONSETS, NUCLEI, CODAS = "bcdfghjklmnprstvwz", "aeiou", "nrlstm"
"""Letters of the syllables that are single tokens."""


@cache
def everyday_words() -> tuple[str, ...]:
    """Return the words of `everyday.txt`: common English that costs one token.

    A real tokenizer has seen everything that people write, and so these words include what the lab asks about. No page
    of the corpus holds those: they are met in drills alone, as ids among other random ids.
    """
    return tuple(files(__package__).joinpath("everyday.txt").read_text(encoding="utf-8").split())


class _Merges:
    """A vocabulary and its merges, growing."""

    def __init__(self) -> None:
        from tokenizers import pre_tokenizers

        self._bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        self.vocabulary = {text: i for i, text in enumerate([*RESERVED, *alphabet])}
        self.pairs: list[tuple[str, str]] = []
        self._rank: dict[tuple[str, str], int] = {}

    def add(self, text: str) -> None:
        """Make a text one token: merge what it consists of so far, from the left."""
        ((spelled, _),) = self._bytes.pre_tokenize_str(text)
        parts = self._split(list(spelled))
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            self._rank[pair] = len(self.pairs)
            self.pairs.append(pair)
            self.vocabulary.setdefault("".join(pair), len(self.vocabulary))
            parts = self._split(parts)

    def _split(self, parts: list[str]) -> list[str]:
        """Apply the merges so far, the first listed first, as BPE does."""
        while found := [pair for pair in pairwise(parts) if pair in self._rank]:
            pair = min(found, key=self._rank.__getitem__)
            at = list(pairwise(parts)).index(pair)
            parts = [*parts[:at], "".join(pair), *parts[at + 2 :]]
        return parts


def _tokens() -> Iterable[str]:
    """Yield the texts that are single tokens, in the order of their merges."""
    onsets = [*ONSETS, *ONSETS.upper()]
    opened = [onset + nucleus for onset in onsets for nucleus in NUCLEI]
    closed = [syllable + coda for syllable in opened for coda in CODAS]
    yield from (*opened, *closed)
    yield from (f"{syllable} " for syllable in closed if syllable.islower())  # a word's end within a name
    yield from (f"{number:02}" for number in range(100))
    yield from JOINTS
    glued = sorted(GLUED.split("|"), key=len)
    yield from (f"{before}{word}{after}" for word in glued for before, after in ((" ", ""), ("", " "), (" ", " ")))
    yield from (f"{word.capitalize()} " for word in glued)
    yield from sorted(everyday_words(), key=len)


@cache
def merges() -> tuple[dict[str, int], tuple[tuple[str, str], ...]]:
    """Return the vocabulary, ids by token, and the merges by rank; the same on any machine."""
    made = _Merges()
    for text in _tokens():
        made.add(text)
    return made.vocabulary, tuple(made.pairs)


def build_tokenizer() -> Any:
    """Assemble the tokenizer; return a `PreTrainedTokenizerFast`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary, pairs = merges()
    bpe = Tokenizer(models.BPE(vocab=vocabulary, merges=list(pairs)))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in CONTROL])
    bpe.add_tokens([AddedToken(text, special=False, normalized=False) for text in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=END, padding_side="left",
        clean_up_tokenization_spaces=False, model_max_length=1024,
    )  # fmt: skip


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer saved in `folder`; raises `OSError` when its files are missing."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(str(folder))
