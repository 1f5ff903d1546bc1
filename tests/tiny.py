"""A tokenizer trained on the spot, random models of a few thousand parameters, and templates to render with."""

from __future__ import annotations

from importlib.resources import files

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from understudy.trace import RESERVED

LAB = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LLAMA = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
WORDS = ("find_director", "director", "film", "arguments", "name", "error", "Who directed", "the answer is")


def build_tokenizer(tokens=(*LAB, *QWEN, *RESERVED), pad="<|pad|>", end="<|end|>", **named):
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = [AddedToken(token, special=token not in RESERVED, normalized=False) for token in tokens]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([f' {word} "{word}": "{word}"' for word in WORDS] * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token=pad, eos_token=end, padding_side="left", **named)


def build_llama_tokenizer():
    return build_tokenizer(LLAMA, pad="<|eot_id|>", end="<|eot_id|>", bos_token="<|begin_of_text|>")


def trl_template(name: str) -> str:
    return files("trl").joinpath("chat_templates", f"{name}.jinja").read_text()


def build_model(tokenizer, seed: int = 0, context: int = 512, **changes):
    torch.manual_seed(seed)
    settings = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48, "max_position_embeddings": context,
        "tie_word_embeddings": True, "initializer_range": 0.1, "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    model = Qwen3ForCausalLM(Qwen3Config(**{**settings, **changes})).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:  # fresh norms are all ones, which would hide a scale that is folded wrongly
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model
