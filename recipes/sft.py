"""Stage 1: supervised fine-tuning on audited traces, which teaches the trace grammar.

    python recipes/sft.py                                                   # after recipes/synthesis.py
    python recipes/sft.py --model Qwen/Qwen2.5-7B-Instruct --traces runs/mine --out runs/sft

By default the lab's tiny base model learns from a few hundred traces: enough to see the stage work, not to learn well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from understudy.lab.base.model import weights_dir
from understudy.training.progress import Progress
from understudy.training.sft import SftConfig, sft

# The defaults of SftConfig are meant for a 7B model. A model of a million parameters wants larger steps.
TINY = {"optimizer": "muon", "lr": 2e-3, "schedule": "cosine", "max_length": 1024, "trainer": {"torch_compile": False}}


def show(at: Progress) -> None:
    print(f"step {at.step}/{at.total}  " + "  ".join(f"{key} {value:.3g}" for key, value in at.values.items()))


def main(args: argparse.Namespace) -> None:
    config = SftConfig(
        model=args.model or str(weights_dir()),
        # A chat template for models without one. `lab` is compact; real models bring their own.
        template="" if args.model else "lab",
        traces=str(args.traces),
        # Loss falls on the assistant's turns alone: never on the question, on tools or on what tools returned, and
        # never on a turn whose call was refused. The split is by task, and the weights with the lowest loss on held-out
        # traces are kept.
        held_out=0.1,
        epochs=args.epochs,
        batch_size=args.batch_size,
        save_every=10,
        seed=args.seed,
        **({} if args.model else TINY),
    )
    result = sft(config, args.out, on_progress=show, resume=True)
    print(result.model_dump_json(indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder or hub id; default: the lab's base")
    parser.add_argument("--traces", type=Path, default=Path("runs/recipes/synthesis"), help="run folder or data set")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/recipes/sft"))
    main(parser.parse_args())
