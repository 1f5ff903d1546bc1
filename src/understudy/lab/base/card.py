"""The model card that `pretrain` writes beside the weights."""

from pathlib import Path
from typing import Any

from understudy.lab.base.model import CONTEXT
from understudy.lab.base.tokenizer import VOCAB_SIZE

CARD = """---
license: apache-2.0
library_name: transformers
tags: [synthetic, copying, tiny]
---
# Understudy's tiny base

A {millions:.2f} M-parameter Qwen3-shaped causal language model (fp32, tied embeddings, context {context} tokens) that
has learned one thing: to copy. It stands where a pretrained model stands in a real run.

* **Shape:** width {width}, {layers} layers, {heads} heads of 32 ({kv_heads} for keys and values), MLP {inner}.
* **Tokenizer:** byte-level BPE, {vocabulary:,} tokens, a syllable each for pseudo-words, pairs of digits; spaces go
  with function words, stops and the inside of names, so names split alike in prose and JSON. No chat template. Its
  tokens include everyday English words, also such as the lab asks about, as any tokenizer's do.
* **Data:** synthetic pages drawn while training: records, prose, links, lists and identifiers over pseudo-names, and
  whether two of these are the same; nothing from any corpus, nothing from the lab: none of its tasks, relations, or
  names. Role and tool tags never occur. Words that the lab asks about occur in drills alone, as ids among other random
  ids.
* **Command:** `understudy lab pretrain --out base --seed {seed} {budget}`
* **Cost:** {steps} steps, {tokens:.1f} M tokens, {seconds:.0f} s in {processes} process(es) of one CPU thread.

## Copy accuracy
Exact greedy copies of names of 2 to 5 tokens whose words are held out in training, by tokens between source and use.

| distance | n | all | {forms} |
|---|---|---|{rules}|
{rows}

It knows no facts and no language beyond sentence shapes. It is of no use without fine-tuning.
"""


def write_card(path: Path, record: dict[str, Any]) -> None:
    """Write the card of a run; `record` is what `pretrain.json` holds."""
    config, cost, scores = record["config"], record["cost"], record["copy_accuracy"]
    forms = list(scores[0]["by_form"])
    rows = []
    for score in scores:
        shares = [score["value"], *(score["by_form"][form] for form in forms)]
        rows.append(f"| {score['distance']} | {score['n']} | " + " | ".join(f"{x:.3f}" for x in shares) + " |")
    text = CARD.format(
        millions=record["parameters"] / 1e6,
        context=CONTEXT,
        vocabulary=VOCAB_SIZE,
        **config["shape"],
        seed=config["seed"],
        budget=f"--steps {cost['steps']}"
        + (f" --processes {config['processes']}" if config["processes"] > 1 else "")
        + (" --compile" if config["compile"] else ""),
        steps=cost["steps"],
        tokens=cost["tokens"] / 1e6,
        seconds=cost["seconds"],
        processes=config["processes"],
        forms=" | ".join(forms),
        rules="|".join("---" for _ in forms),
        rows="\n".join(rows),
    )
    path.write_text(text, encoding="utf-8")
