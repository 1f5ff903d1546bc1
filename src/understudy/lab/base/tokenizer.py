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
from understudy.lab.base.names import full_name, identifier, proper
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
    r"""": [\[{]?"|": |", "|"[\]}]|\{"|\p{N}|-|'s(?!\p{L})|\p{Lu}\p{Ll}*| ?\p{Ll}+|\p{L}"""
    r"""| ?["(\[{](?!\s)|[^\s\p{L}\p{N}"-]+|"|\s"""
)
"""Pre-tokenizer pattern; BPE merges never cross its pieces."""


FRAMES = (
    "I need the", "I know the answer.", "So the answer is", "Who is the", "Who was", "When was", "Where is",
    "Which of the", "In which", "What is the", "How many", "The two are", "It is not", "First I need", "Now I need",
    "Next, I have", "yes", "type", "string", "name", "arguments", "function", "description", "parameters",
    "properties", "required", "object", "number", "integer", "result", "error", "value", "query", "status", "null",
    "true", "false", "unknown", "Return the", "find", "get", "list", "read", "show", "search", "lookup", "fetch",
    "check", "query", "Look up", "not found", "first", "second", "earlier", "later", "larger", "smaller", "older",
    "more than", "less than",
)  # fmt: skip
"""Plain words of questions, thoughts and schemas that should cost few tokens; only the tokenizer sees this list."""


def training_text(seed: int = 0, count: int = 6000) -> Iterator[str]:
    """Yield the text BPE is trained on: pages of the corpus, names, plain sentences, the word list and FRAMES."""
    rng = Random(f"base-tokenizer-{seed}")
    yield from islice((page.text for page in pages(seed, 500)), count // 12)
    for _ in range(count):
        yield sentence(rng)
        yield f'{full_name(rng)}, "{proper(rng)}", "{identifier(rng)}", {" ".join(proper(rng) for _ in range(6))}'
        yield '{"a": {"b": ["c"]}, "d": -1, "e": [{"f": 2}, {"g": "h"}]}, "i": {"j": "k"}}'
    for words in word_groups().values():
        yield from (f"the {word}, {word}_{word}, {word.capitalize()}" for word in words)
    yield from (f'{frame} the {frame[0].lower()}{frame[1:]} "{frame}"' for frame in FRAMES for _ in range(250))


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
