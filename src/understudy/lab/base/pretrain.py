"""Pretraining of the tiny base: from random weights to a model that copies, in minutes on two cores.

`pretrain(out)` writes a folder that `load_base(out)` reads: `config.json`, `model.safetensors`, the tokenizer's files,
`pretrain.json` (settings, cost, copy accuracy) and a model card. The folder appears complete or not at all. With
`steps` the result is a function of the settings alone (one machine, one thread a process); with `minutes` the clock
decides how many steps are taken. A killed run goes on from its last checkpoint, which lies beside `out`. An existing
`out` is refused unless `replace` is set.
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

from understudy.lab.base.batches import collate, draw
from understudy.lab.base.card import write_card
from understudy.lab.base.checkpoint import load_checkpoint, save_checkpoint
from understudy.lab.base.model import Shape, build_model
from understudy.lab.base.probe import copy_accuracy
from understudy.lab.base.schedule import LADDER, Climb, rate
from understudy.lab.base.tokenizer import RESERVED, build_tokenizer

SAVE_EVERY = 200


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
    processes: int = 1
    """Processes that share a batch, each with one thread and a core of its own; more than one need `steps`."""
    compile: bool = False
    """Fuse the blocks' small operations (``torch.compile``): a fifth faster, but needs a C++ compiler."""
    shape: Shape = field(default_factory=Shape)


def optimizers(model: Any, config: PretrainConfig) -> list[Any]:
    """Return Muon for the matrices of the blocks, AdamW for embeddings and norms; no weight decay."""
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(
        matrices, lr=config.muon_lr, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(others, lr=config.adamw_lr, betas=(0.9, 0.98), weight_decay=0.0)]


def losses(model: Any, ids: Any, sure: Any, pad: int, step: int) -> tuple[Any, Any]:
    """Return the mean losses (nats) on predictable tokens and on an eighth of the others; both inputs (rows, length).

    Matrix products run in bfloat16 (a quarter faster here), weights and loss stay fp32. Logits are computed only where
    they count, and only for tokens that the batch holds: a copy is always among them, and tokens that the corpus never
    uses are not pushed anywhere.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812 (the customary name)

    target, marked = ids[:, 1:], sure[:, 1:]
    others = (torch.arange(target.shape[1]) % 8 == step % 8) & ~marked & (target != pad)
    held = ids.unique()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        picked = marked | others
        logits = F.linear(hidden[picked], model.get_input_embeddings().weight[held]).float()
    each = F.cross_entropy(logits, torch.searchsorted(held, target[picked]), reduction="none")
    copied = marked[picked]
    return (each * copied).sum() / copied.sum().clamp(min=1), (each * ~copied).sum() / (~copied).sum().clamp(min=1)


def settle_reserved(model: Any, seed: int) -> None:
    """Redraw the rows of the reserved tags, which are never met: mean and spread as of all others.

    At their first, smaller scale they would stand out: a row near zero gets logit 0 wherever all others are negative.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        known = table[len(RESERVED) :]
        noise = torch.randn(len(RESERVED), table.shape[1], generator=generator)
        table[: len(RESERVED)] = known.mean(0) + noise * known.std(0)


def train(model: Any, tokenizer: Any, config: PretrainConfig, checkpoint: Path, part: int = 0) -> dict[str, float]:
    """Train in place, printing progress to stderr; return steps, tokens, seconds and the last smoothed loss.

    Every SAVE_EVERY steps the run is saved to `checkpoint`, and it goes on from there if that file exists. With several
    processes each draws its own `part` of a batch; gradients and losses are averaged, so all hold the same weights.
    """
    import torch

    torch.set_num_threads(1)
    if config.compile:
        torch._dynamo.config.recompile_limit = 2 * len(LADDER)  # one graph for each length
        model.model.compile(dynamic=False)
    ids_drilled = range(len(RESERVED), len(tokenizer))
    optims = optimizers(model, config)
    climb, smooth, consumed, step, before = Climb(), 0.0, 0, 0, 0.0
    if (state := load_checkpoint(checkpoint, model, optims, asdict(config))) is not None:
        climb, smooth, consumed, step, before = Climb(**state.pop("climb")), *state.values()
        _say(part, f"going on from step {step}")
    start = time.monotonic()
    model.train()
    while True:
        elapsed = before + time.monotonic() - start
        progress = step / config.steps if config.steps else elapsed / (60 * config.minutes)
        if progress >= 1:
            break
        length = climb.length(Random(f"base-length-{config.seed}-{step}"))
        drills, rows = LADDER[climb.rung].drills, max(1, config.tokens // length // config.processes)
        batch = draw(config.seed, step, part, rows, length, drills, ids_drilled, tokenizer)
        ids, sure = collate(batch, tokenizer.pad_token_id, length)
        copied, plain = losses(model, ids, sure, tokenizer.pad_token_id, step)
        for optim in optims:
            optim.zero_grad()
        (copied + config.plain_weight * plain).backward()
        loss = _averaged(model, copied.detach(), config.processes)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optim, lr in zip(optims, (config.muon_lr, config.adamw_lr), strict=True):
            optim.param_groups[0]["lr"] = lr * rate(step, progress)
            optim.step()
        consumed += ids.numel() * config.processes
        smooth = loss if step == 0 else 0.98 * smooth + 0.02 * loss
        if climb.update(loss, progress):
            _say(part, f"step {step}: sequences of {LADDER[climb.rung].length} tokens")
        if step % 50 == 0:
            left = elapsed * (1 - progress) / progress if progress > 0 else 0.0
            _say(
                part,
                f"step {step}  length {length}  copied {smooth:.3f}  plain {plain.item():.2f}  "
                f"{consumed / 1e6:.2f}M tokens  {elapsed:.0f} s, {left:.0f} s left",
            )
        step += 1
        if (step % SAVE_EVERY == 0 or step == config.steps) and part == 0:
            state = {"climb": asdict(climb), "smooth": smooth, "consumed": consumed, "step": step, "elapsed": elapsed}
            save_checkpoint(checkpoint, model, optims, asdict(config), state)
    settle_reserved(model, config.seed)
    return {"steps": step, "tokens": consumed, "seconds": round(elapsed, 1), "loss": round(smooth, 4)}


def _say(part: int, text: str) -> None:
    if part == 0:
        print(text, file=sys.stderr, flush=True)


def _averaged(model: Any, loss: Any, processes: int) -> float:
    """Average the gradients and the loss over all processes; return the loss."""
    import torch

    if processes > 1:
        grads = [p.grad for p in model.parameters()]
        flat: Any = torch.cat([loss.reshape(1), *(grad.reshape(-1) for grad in grads)])
        torch.distributed.all_reduce(flat)
        loss, *averaged = (flat / processes).split([1, *(grad.numel() for grad in grads)])
        for grad, new in zip(grads, averaged, strict=True):
            grad.copy_(new.view_as(grad))
    return float(loss)


def _train_part(_: object, config: PretrainConfig, checkpoint: Path) -> None:
    """One process of several; the first leaves the trained weights in `checkpoint`."""
    import torch

    model = build_model(config.shape, config.seed)
    train(model, build_tokenizer(), config, checkpoint, torch.distributed.get_rank())


def pretrain(out: Path, config: PretrainConfig | None = None, replace: bool = False, samples: int = 300) -> Path:
    """Train a base and write it to `out`; return `out`.

    Args:
        out: folder to create.
        config: settings; the defaults train for ten minutes.
        replace: overwrite `out` if it exists, once the new base is complete.
        samples: samples per distance of the closing measurement.

    Raises:
        FileExistsError: `out` exists and `replace` is not set.
        ValueError: several processes, and no number of steps.
    """
    import torch

    config = config or PretrainConfig()
    if config.processes > 1 and config.steps is None:
        raise ValueError("several processes need a number of steps: a clock is not the same for all")
    if out.exists() and not replace:
        raise FileExistsError(f"{out} exists; choose another folder or ask to replace it")
    tokenizer = build_tokenizer()
    model = build_model(config.shape, config.seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = out.parent / f".{out.name}.checkpoint.safetensors"
    if config.processes > 1:
        from understudy.training.processes import train_together

        train_together(config.processes, _train_part, config, checkpoint, hear=lambda _: None)
    cost = train(model, tokenizer, config, checkpoint)  # after several processes, nothing is left to do but to load
    with torch.compiler.set_stance("force_eager"):  # batches of the probe differ in length: no graph would serve twice
        scores = [asdict(copy_accuracy(model, tokenizer, 1, distance, samples)) for distance in (50, 150, 300, 500)]
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
        checkpoint.unlink(missing_ok=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out
