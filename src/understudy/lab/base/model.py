"""The base model: its shape, its place in the package, and how to load it.

A Qwen3 configuration (grouped queries, norms on queries and keys, rotary positions, gated MLP, tied embeddings) small
enough that two cores train it in minutes. `load_base()` reads the shipped weights; it raises `OSError` when the
package was built without them.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from understudy.lab.base.tokenizer import END, PAD, RESERVED, VOCAB_SIZE, load_tokenizer

CONTEXT = 1024
"""Longest sequence in tokens, prompt and answer together."""


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; head size is always 32."""

    width: int = 160
    """Residual stream."""
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2
    inner: int = 256
    """Hidden units of each MLP."""


def build_model(shape: Shape, seed: int) -> Any:
    """Return a fresh fp32 `Qwen3ForCausalLM` with weights drawn from `seed`."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=VOCAB_SIZE, hidden_size=shape.width, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads, head_dim=32,
        intermediate_size=shape.inner, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6}, initializer_range=0.02,
        pad_token_id=RESERVED.index(PAD), bos_token_id=None, eos_token_id=RESERVED.index(END), use_cache=True,
    )  # fmt: skip
    return Qwen3ForCausalLM(config)


def weights_dir() -> Path:
    """Return the folder of the shipped weights and tokenizer."""
    return Path(str(files(__package__).joinpath("weights")))


def load_base(folder: Path | None = None) -> tuple[Any, Any]:
    """Return `(model, tokenizer)`: the shipped base, or the one `pretrain` wrote to `folder`.

    The model is fp32, on the CPU, in evaluation mode; the tokenizer has no chat template and pads on the left.
    """
    from transformers import Qwen3ForCausalLM

    place = folder or weights_dir()
    model = Qwen3ForCausalLM.from_pretrained(str(place))
    return model.eval(), load_tokenizer(place)
