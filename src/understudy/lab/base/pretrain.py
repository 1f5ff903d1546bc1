"""Pretraining of the tiny base: from random weights to a model that copies, in minutes on two cores.

`pretrain(out)` writes a folder that `load_base(out)` reads: `config.json`, `model.safetensors`, the tokenizer's files,
`pretrain.json` (settings, cost, copy accuracy) and a model card. The folder appears complete or not at all. With
`steps` the result is a function of the settings alone (one machine, one number of threads); with `minutes` the clock
decides how many steps are taken. An existing `out` is refused unless `replace` is set.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from understudy.lab.base.batches import collate, draw, seen_ids
from understudy.lab.base.card import write_card
from understudy.lab.base.model import Shape, build_model, weights_dir
from understudy.lab.base.probe import copy_accuracy
from understudy.lab.base.schedule import LADDER, Climb, rate
from understudy.lab.base.tokenizer import build_tokenizer, load_tokenizer


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of one run."""

    seed: int = 0
    steps: int | None = None
    """Optimizer steps; None lets `minutes` decide."""
    minutes: float = 10.0
    """Wall-clock budget when `steps` is None."""
    tokens: int = 4096
    """Tokens of a batch."""
    muon_lr: float = 4e-3
    """Learning rate of the matrices, matched to AdamW's update size. AdamW alone hardly learns copying in this time."""
    adamw_lr: float = 3e-3
    """Learning rate of embeddings and norms."""
    plain_weight: float = 0.1
    """Weight of the loss on tokens that nothing predicts; predictable ones weigh 1."""
    threads: int = 2
    shape: Shape = field(default_factory=Shape)
    new_tokenizer: bool = False
    """Train the tokenizer again instead of keeping the shipped one; every model on the old one is then void."""


def optimizers(model: Any, config: PretrainConfig) -> list[Any]:
    """Return Muon for the matrices of the blocks, AdamW for embeddings and norms; no weight decay."""
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(
        matrices, lr=config.muon_lr, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(others, lr=config.adamw_lr, betas=(0.9, 0.98), weight_decay=0.0)]


def losses(model: Any, ids: Any, sure: Any, unseen: Any, pad: int) -> tuple[Any, Any]:
    """Return the mean losses (nats) on predictable and on plain tokens; `ids` and `sure` are (rows, length)."""
    import torch.nn.functional as F  # noqa: N812 (the customary name)

    logits = model(input_ids=ids[:, :-1], use_cache=False).logits.index_fill(-1, unseen, float("-inf"))
    target, marked = ids[:, 1:], sure[:, 1:]
    each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)
    # a token so rare that the sample of seen ones missed it has no finite loss: leave it out
    counted = (target != pad) & each.isfinite()
    each, marked, plain = each.masked_fill(~counted, 0.0), marked & counted, ~marked & counted
    return (each * marked).sum() / marked.sum().clamp(min=1), (each * plain).sum() / plain.sum().clamp(min=1)


def settle_unseen(model: Any, seen: list[int], unseen: Any, seed: int) -> None:
    """Redraw the rows of tokens that were never met: mean and spread of the met ones, each its own direction.

    At their first, smaller scale they would stand out: a row near zero gets logit 0 wherever all others are negative.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        known = table[seen]
        noise = torch.randn(len(unseen), table.shape[1], generator=generator)
        table[unseen] = known.mean(0) + noise * known.std(0)


def train(model: Any, tokenizer: Any, config: PretrainConfig) -> dict[str, float]:
    """Train in place, printing progress to stderr; return steps, tokens, seconds and the last smoothed losses."""
    import torch

    torch.set_num_threads(config.threads)
    seen = seen_ids(tokenizer)
    unseen = torch.tensor(sorted(set(range(len(tokenizer))) - set(seen)))
    optims = optimizers(model, config)
    climb, smooth, consumed, step, start = Climb(), 0.0, 0, 0, time.monotonic()
    model.train()
    while True:
        elapsed = time.monotonic() - start
        progress = step / config.steps if config.steps else elapsed / (60 * config.minutes)
        if progress >= 1:
            break
        length = climb.length(Random(f"base-length-{config.seed}-{step}"))
        drills = LADDER[climb.rung].drills
        batch = draw(config.seed, step, max(1, config.tokens // length), length, drills, seen, tokenizer)
        ids, sure = collate(batch, tokenizer.pad_token_id)
        copied, plain = losses(model, ids, sure, unseen, tokenizer.pad_token_id)
        for optim in optims:
            optim.zero_grad()
        (copied + config.plain_weight * plain).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optim, lr in zip(optims, (config.muon_lr, config.adamw_lr), strict=True):
            optim.param_groups[0]["lr"] = lr * rate(step, progress)
            optim.step()
        loss, consumed = copied.item(), consumed + ids.numel()
        smooth = loss if step == 0 else 0.98 * smooth + 0.02 * loss
        if climb.update(loss, progress):
            print(f"step {step}: sequences of {LADDER[climb.rung].length} tokens", file=sys.stderr, flush=True)
        if step % 50 == 0:
            left = elapsed * (1 - progress) / progress if progress > 0 else 0.0
            print(
                f"step {step}  length {length}  copied {smooth:.3f}  plain {plain.item():.2f}  "
                f"{consumed / 1e6:.2f}M tokens  {elapsed:.0f} s, {left:.0f} s left", file=sys.stderr, flush=True,
            )  # fmt: skip
        step += 1
    settle_unseen(model, seen, unseen, config.seed)
    return {"steps": step, "tokens": consumed, "seconds": round(time.monotonic() - start, 1), "loss": round(smooth, 4)}


def pretrain(out: Path, config: PretrainConfig | None = None, replace: bool = False, samples: int = 300) -> Path:
    """Train a base and write it to `out`; return `out`.

    Args:
        out: folder to create.
        config: settings; the defaults train for ten minutes.
        replace: overwrite `out` if it exists, once the new base is complete.
        samples: samples per distance of the closing measurement.

    Raises:
        FileExistsError: `out` exists and `replace` is not set.
    """
    config = config or PretrainConfig()
    if out.exists() and not replace:
        raise FileExistsError(f"{out} exists; choose another folder or ask to replace it")
    tokenizer = build_tokenizer() if config.new_tokenizer else load_tokenizer(weights_dir())
    model = build_model(config.shape, config.seed)
    cost = train(model, tokenizer, config)
    scores = [asdict(copy_accuracy(model, tokenizer, 1, distance, samples)) for distance in (50, 150, 300, 500)]
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        model.save_pretrained(str(partial))
        tokenizer.save_pretrained(str(partial))
        record = {"config": asdict(config), "cost": cost, "copy_accuracy": scores, "parameters": model.num_parameters()}
        (partial / "pretrain.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        write_card(partial / "README.md", record)
        partial.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out
