"""The base's tokenizer: byte-level BPE whose pieces of a name do not depend on where the name stands.

A model this small copies token by token, so ` Kesh` in prose and `"Kesh` in JSON must split alike. The usual
byte-level split glues a leading space to every word, which gives two spellings of each name. Here a space joins the
lower-case word after it, or the capitalised word before it when another follows ("Anna " + "Kesh"), and stands alone
otherwise. Digits and minus signs are single tokens. The usual JSON joints (`": "`, `", "`) are single tokens.

The chat template is left unset: this package knows no roles.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from understudy.lab.base.corpus import pages
from understudy.lab.base.page import sentence
from understudy.lab.base.words import word_groups

VOCAB_SIZE = 1024
PAD, END = "<|pad|>", "<|end|>"
CONTROL = (PAD, END, "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
TAGS = (
    "<think>", "</think>", "<tool_call>", "</tool_call>",
    "<tool_response>", "</tool_response>", "<answer>", "</answer>",
)  # fmt: skip
RESERVED = CONTROL + TAGS
"""Single tokens with ids 0..13, in this order. None occurs in the corpus. Only CONTROL is skipped when decoding."""

SPLIT = (
    r"""": \{?"|", "|"\}|\{"|\p{N}|-|'s(?!\p{L})|\p{Lu}\p{Ll}*(?: (?=\p{Lu}))?| ?\p{Ll}+|\p{L}"""
    r"""| ?["(\[{](?!\s)|[^\s\p{L}\p{N}"-]+|"|\s"""
)
"""Pre-tokenizer pattern; BPE merges never cross its pieces."""


def training_text(seed: int = 0, count: int = 6000) -> Iterator[str]:
    """Yield the text BPE is trained on: pages of the corpus, plain sentences, and each word of the list once."""
    rng = Random(f"base-tokenizer-{seed}")
    yield from islice((page.text for page in pages(seed, 700)), count // 3)
    yield from (sentence(rng) for _ in range(count))
    for words in word_groups().values():
        yield from (f"the {word}, {word}, {word.capitalize()}" for word in words)


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
