"""The forward pass of a small Llama-family model on the CPU, with static key–value caches.

Runs on the Hugging Face model's own weights (Llama, Qwen2 and Qwen3 shapes: grouped queries, biases, norms on queries
and keys, tied or free head). What can be folded is folded when weights are read: norm scales into the matrices behind
them, the attention scale into the queries, three projections into one. Logits agree with the model's own to 1e-4.

Caches are one tensor a layer, (2, rows, kv heads, capacity, head size), so that a range of rows is a view: a decode
step over the first n rows copies nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 (the customary name)

from understudy.errors import InputError

FAMILIES = ("llama", "qwen2", "qwen3")
_BLOCK = 128
"""Capacity grows by this many tokens."""


def supports(model: Any) -> bool:
    """Whether the static decoder computes this model exactly."""
    config = model.config
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    plain = config.hidden_act == "silu" and not any(
        getattr(config, option, False) for option in ("use_sliding_window", "attention_bias", "mlp_bias")
    )
    whole = not hasattr(model, "peft_config")  # adapters would be overlooked
    on_cpu = model.dtype is torch.float32 and model.device.type == "cpu"
    return bool(
        config.model_type in FAMILIES and plain and whole and on_cpu and rope in ("default", "linear", "llama3")
    )


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights of one layer, norms folded in."""

    qkv: torch.Tensor
    qkv_bias: torch.Tensor | None
    head_scale: torch.Tensor | None
    """Scales of the norms on queries and keys, (query and key heads, head size)."""
    out: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor


class Decoder:
    """Weights and caches of one model.

    Args:
        model: a causal language model for which ``supports`` holds.
        rows: conversations that fit at once.
    """

    def __init__(self, model: Any, rows: int) -> None:
        if not supports(model):
            raise InputError(
                f"the static engine can't run this {model.config.model_type} model; use engine = 'generate'"
            )
        config = model.config
        self._model = model
        self.rows = rows
        self.context: int = config.max_position_embeddings
        self._heads, self._kv_heads = config.num_attention_heads, config.num_key_value_heads
        self._size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._eps: float = config.rms_norm_eps
        self._capacity = 0
        self._caches = [torch.empty(2, rows, self._kv_heads, 0, self._size) for _ in range(config.num_hidden_layers)]
        self._layers: list[_Layer] = []
        rotary = model.model.rotary_emb
        angles = torch.outer(torch.arange(self.context + 1, dtype=torch.float32), rotary.inv_freq.float())
        angles = torch.cat([angles, angles], -1)
        self._cos, self._sin = angles.cos() * rotary.attention_scaling, angles.sin() * rotary.attention_scaling
        # Rotation swaps the halves of a head with a sign; the sign is kept in the table.
        self._sin[:, : self._size // 2].neg_()
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Read the weights again; needed whenever they have changed."""
        body = self._model.model
        self._layers = [self._fold(layer) for layer in body.layers]
        self._embedding = body.embed_tokens.weight.detach()
        self._head = self._model.lm_head.weight * body.norm.weight

    def _fold(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        qkv = torch.cat([projection.weight for projection in projections]) * layer.input_layernorm.weight
        bias = torch.cat([projection.bias for projection in projections]) if attention.q_proj.bias is not None else None
        scale, queries = self._size**-0.5, self._heads * self._size
        head_scale = None
        if hasattr(attention, "q_norm"):
            head_scale = torch.cat(
                [
                    (attention.q_norm.weight * scale).expand(self._heads, -1),
                    attention.k_norm.weight.expand(self._kv_heads, -1),
                ]
            )
        else:
            qkv[:queries] *= scale
            if bias is not None:
                bias[:queries] *= scale
        gate_up = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * layer.post_attention_layernorm.weight
        return _Layer(qkv, bias, head_scale, attention.o_proj.weight.detach(), gate_up, mlp.down_proj.weight.detach())

    def reserve(self, length: int) -> None:
        """Make room for rows of ``length`` tokens, and for one more that a waiting row may write in passing."""
        if length < self._capacity:
            return
        capacity = min(-(-(length + 1) // _BLOCK) * _BLOCK, self.context + 1)
        for index, cache in enumerate(self._caches):
            grown = torch.zeros(2, self.rows, self._kv_heads, capacity, self._size)
            grown[:, :, :, : self._capacity] = cache
            self._caches[index] = grown
        self._capacity = capacity

    def copy(self, sources: Sequence[int], targets: Sequence[int], length: int) -> None:
        """Copy the first ``length`` cached tokens of rows to other rows."""
        where, whence = torch.tensor(targets), torch.tensor(sources)
        for cache in self._caches:
            cache[:, where, :, :length] = cache[:, whence, :, :length]

    def exchange(self, some: Sequence[int], others: Sequence[int], length: int) -> None:
        """Swap the first ``length`` cached tokens of rows, pairwise."""
        self.copy([*others, *some], [*some, *others], length)

    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, end: int) -> torch.Tensor:
        """Decode one token in each of the first n rows.

        Args:
            tokens: (n,) the tokens to append.
            lengths: (n,) how many tokens each row holds before.
            end: the largest of ``lengths`` plus one.

        Returns:
            Logits of the next token, (n, vocabulary).
        """
        count = len(tokens)
        rows = torch.arange(count)
        visible = torch.arange(end) <= lengths[:, None]
        bias = torch.zeros(count, 1, 1, end).masked_fill_(~visible[:, None, None], -1e30)
        groups = self._heads // self._kv_heads

        def attend(cache: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            cache[0][rows, :, lengths], cache[1][rows, :, lengths] = k, v
            keys, values = cache[0, :count, :, :end], cache[1, :count, :, :end]
            # A batched product of small matrices beats the fused attention's grouped path on CPUs.
            scores = q.view(count, self._kv_heads, groups, self._size) @ keys.transpose(-1, -2)
            return ((scores + bias).softmax(-1) @ values).view(count, -1)

        return torch.mm(self._forward(tokens, lengths, attend), self._head.T)

    def extend(self, rows: Sequence[int], chunks: Sequence[Sequence[int]], lengths: Sequence[int]) -> torch.Tensor:
        """Append a chunk of tokens to each of some rows.

        Args:
            rows: the rows, each once.
            chunks: what to append to each; none empty.
            lengths: how many tokens each row holds before.

        Returns:
            Logits after each row's last token, (rows, vocabulary).
        """
        sizes = torch.tensor([len(chunk) for chunk in chunks])
        starts, wide = torch.tensor(lengths), int(sizes.max())
        end = int((starts + sizes).max())
        self.reserve(end)
        # Tokens lie flat, without padding, except inside attention.
        offsets = torch.arange(wide)
        filled = offsets < sizes[:, None]
        positions = (starts[:, None] + offsets)[filled]
        where = torch.tensor(rows)
        owners = where.repeat_interleave(sizes)
        tokens = torch.tensor([token for chunk in chunks for token in chunk])
        visible = torch.arange(end) <= (starts[:, None] + offsets)[:, :, None]

        def attend(cache: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            cache[0][owners, :, positions], cache[1][owners, :, positions] = k, v
            padded = torch.zeros(len(rows), wide, self._heads, self._size)
            padded[filled] = q
            keys, values = cache[0, where, :, :end], cache[1, where, :, :end]
            seen = F.scaled_dot_product_attention(
                padded.transpose(1, 2), keys, values, attn_mask=visible[:, None], scale=1.0, enable_gqa=True
            )
            return seen.transpose(1, 2)[filled].flatten(1)

        hidden = self._forward(tokens, positions, attend)
        return torch.mm(hidden[sizes.cumsum(0) - 1], self._head.T)

    def _forward(self, tokens: torch.Tensor, positions: torch.Tensor, attend: Any) -> torch.Tensor:
        """Hidden states (tokens, width) before the head, of tokens that lie flat."""
        turning, heads = self._heads + self._kv_heads, self._heads
        cos, sin = self._cos[positions][:, None], self._sin[positions][:, None]
        x = self._embedding[tokens]
        width = x.shape[1]
        for layer, cache in zip(self._layers, self._caches, strict=True):
            qkv = F.linear(F.rms_norm(x, (width,), None, self._eps), layer.qkv, layer.qkv_bias)
            qkv = qkv.view(len(tokens), -1, self._size)
            turned = qkv[:, :turning]
            if layer.head_scale is not None:
                turned = F.rms_norm(turned, (self._size,), None, self._eps) * layer.head_scale
            turned = turned * cos + turned.roll(self._size // 2, -1) * sin
            seen = attend(cache, turned[:, :heads], turned[:, heads:], qkv[:, turning:])
            x = torch.addmm(x, seen, layer.out.T)
            gate, up = F.linear(F.rms_norm(x, (width,), None, self._eps), layer.gate_up).chunk(2, -1)
            x = torch.addmm(x, F.silu(gate) * up, layer.down.T)
        return F.rms_norm(x, (width,), None, self._eps)
