"""Tokens per second of SFT and GRPO on the shapes of real models with random weights, and their share of the peak.

    python benchmarks/training.py --json runs/training.json                # Qwen2.5-0.5B and 1.5B, on a GPU
    python benchmarks/training.py --shapes lab --steps 4                   # the lab's own shape, anywhere

Traces, questions and tools are the lab's, tokens those of its tokenizer; the head has the vocabulary of the shape. For
each shape it writes ``sft`` (padded, and packed into 2,048 tokens) and ``grpo``:
* ``tokens_per_second``: trained tokens, prompts and results included, over the steps after the first two;
* ``share_of_peak``: 6 x parameters x tokens per second (forward and backward, attention left out) over what a large
  matrix product reaches on the same device in the same run, in the precision of training;
* of ``grpo`` also ``sampled_per_second`` and the seconds of rollouts and updates.

Random weights answer nothing, so GRPO's rollouts run to their limits, and no group has contrast: its figures are of the
longest turns, and its updates are those of the KL term, which leaves no rollout out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from understudy.cli.exam import prepared
from understudy.jsonl import read_jsonl, write_json
from understudy.lab.base.model import weights_dir
from understudy.lab.base.tokenizer import load_tokenizer
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.rollout import Limits
from understudy.synthesis import pipeline
from understudy.synthesis.store import RunFolder
from understudy.synthesis.teacher import AgentTeacher
from understudy.training.grpo import GrpoConfig, grpo
from understudy.training.progress import Progress
from understudy.training.settings import TrainConfig
from understudy.training.sft import SftConfig, read_traces, sft

SHAPES = {"qwen2.5-0.5b": (896, 24, 14, 4864), "qwen2.5-1.5b": (1536, 28, 12, 8960), "lab": (160, 5, 4, 256)}
"""Width, layers, query heads and width of the MLP; two heads for keys and values each."""
VOCABULARY = {"lab": 3552}
PACKED = 2048
WARM_UP = 2


def build(shape: str, folder: Path) -> int:
    """Write a model of random weights with the lab's tokenizer; return its number of parameters."""
    torch.manual_seed(0)
    width, layers, heads, inner = SHAPES[shape]
    config = Qwen2Config(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=2,
        intermediate_size=inner, vocab_size=VOCABULARY.get(shape, 151_936), tie_word_embeddings=True, pad_token_id=0,
        bos_token_id=None, eos_token_id=1,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    model.save_pretrained(folder)
    load_tokenizer(weights_dir()).save_pretrained(folder)
    return int(model.num_parameters())


def peak() -> float:
    """Floating-point operations per second of a large matrix product, in the precision of training."""
    gpu = torch.cuda.is_available()
    size, dtype = (8192, torch.bfloat16) if gpu else (1024, torch.float32)
    matrix = torch.randn(size, size, device="cuda" if gpu else "cpu", dtype=dtype)
    times = []
    for _ in range(12):
        started = time.perf_counter()
        matrix @ matrix
        if gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times)


def rate(config: TrainConfig, run: Any) -> tuple[float, list[dict[str, Any]]]:
    """Trained tokens per second after the warm-up, and the lines of ``metrics.jsonl``."""
    ends: list[tuple[float, float]] = []

    def note(at: Progress) -> None:
        if "num_tokens" in at.values:
            ends.append((time.perf_counter(), at.values["num_tokens"]))

    with tempfile.TemporaryDirectory() as out:
        run(config, Path(out), note)
        lines = list(read_jsonl(Path(out) / "metrics.jsonl"))
    (started, before), (ended, after) = ends[min(WARM_UP, len(ends) - 2)], ends[-1]
    return (after - before) / (ended - started), lines


def measure(shape: str, steps: int, batch: int, tasks: int) -> dict[str, Any]:
    """All figures of one shape."""
    lab, who = make_tasks(Universe(0), tasks, 0), AgentTeacher.on(ScriptedModel(0))
    with tempfile.TemporaryDirectory() as scratch:
        folder, made = Path(scratch) / "model", Path(scratch) / "synth"
        parameters, limit = build(shape, folder), peak()
        with RunFolder(made) as run:
            settings = pipeline.SynthesisSettings()
            run.start(settings.model_dump(mode="json"), resume=True)
            asyncio.run(pipeline.synthesise(lab, who, run, settings))
        traces, found = read_traces(str(made)), {"parameters": parameters}
        given = {"model": str(folder), "template": "lab", "save_every": 0, "held_out": 0.0}
        for name, packing in (("padded", False), ("packed", True)):
            trainer = {"max_steps": steps, "packing": packing}
            config = SftConfig(**given, batch_size=batch, max_length=PACKED, trainer=trainer)
            speed, _ = rate(config, lambda config, out, note: sft(config, out, traces, on_progress=note))
            found[name] = {"tokens_per_second": speed, "share_of_peak": 6 * parameters * speed / limit}
        asked = prepared(lab, who, 0)
        reward = GrpoConfig(**given, steps=steps, prompts=batch, generations=4, beta=0.001, max_turn_tokens=128,
                            limits=Limits(max_turns=2, max_tokens=256))  # fmt: skip
        speed, lines = rate(reward, lambda config, out, note: grpo(config, out, asked, who.tools, on_progress=note))
        rolled = [line for line in lines if "seconds/update" in line][1:] or lines[-1:]
        seconds = sum(line["seconds/rollouts"] for line in rolled)
        found["grpo"] = {
            "tokens_per_second": speed,
            "share_of_peak": 6 * parameters * speed / limit,
            "sampled_per_second": sum(line["sampled_tokens"] for line in rolled) * batch * 4 / seconds,
            "seconds_rollouts": seconds / len(rolled),
            "seconds_update": sum(line.get("seconds/update", 0.0) for line in rolled) / len(rolled),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["qwen2.5-0.5b", "qwen2.5-1.5b"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=8, help="traces per step, and tasks per batch of rollouts")
    parser.add_argument("--tasks", type=int, default=200)
    args = parser.parse_args()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    result: dict[str, Any] = {"device": gpu, "torch": torch.__version__}
    for shape in args.shapes:
        result[shape] = measure(shape, args.steps, args.batch, args.tasks)
    print(json.dumps(result, indent=2))
    if args.json:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
