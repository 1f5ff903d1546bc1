r"""What GRPO adds to SFT at another temperature, beside what it adds as the demo measured it.

python benchmarks/decoding.py runs/full runs/full/seed-1 runs/full/seed-2 --temperature 0.7 --json runs/decoding.json

Reads finished demos and asks their models the same questions once more. Writes, per demo and over all questions,
``{"sft", "grpo", "gain", "gain_then"}`` (the last as the demo found it), each with simulated and with live tools, n and
a 95 % interval. Work that is done is not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from understudy.cli.demo import DemoConfig, Ledger
from understudy.cli.exam import Sitting, examine
from understudy.cli.progress import Reporter
from understudy.cli.stages import EVAL, GRPO, SFT
from understudy.config import load_config
from understudy.evaluation.result import Result
from understudy.metric import paired_difference, proportion
from understudy.training.run import MODEL

TOOLS = ("simulated", "live")
Right = dict[str, list[bool]]


def asked_again(run: Path, temperature: float, out: Path) -> tuple[Right, Right]:
    """Which questions each model has right: at this temperature, then as in the demo. Named as its evaluations."""
    config = load_config(DemoConfig, run / "config.json", [])
    other = config.model_copy(update={"test_temperature": temperature})
    sittings = [
        Sitting(stage if tools == "simulated" else f"{stage}_live", run / stage / MODEL, tools)
        for tools in TOOLS
        for stage in (SFT, GRPO)
    ]
    out.mkdir(parents=True, exist_ok=True)
    now = examine(other, out, sittings, Ledger(out / "stages.json", time.monotonic()), Reporter())
    done = Ledger(run / "stages.json", time.monotonic())
    then = examine(config, run / EVAL, sittings, done, Reporter())
    return _right(now), _right(then)


def _right(results: dict[str, Result]) -> Right:
    return {name: [record.em for record in result.records] for name, result in results.items()}


def figures(now: Right, then: Right) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tools, end in zip(TOOLS, ("", "_live"), strict=True):
        first, second = SFT + end, GRPO + end
        found[tools] = {
            "sft": proportion(sum(now[first]), len(now[first])).model_dump(),
            "grpo": proportion(sum(now[second]), len(now[second])).model_dump(),
            "gain": paired_difference(now[first], now[second]).model_dump(),
            "gain_then": paired_difference(then[first], then[second]).model_dump(),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished demos")
    parser.add_argument("--temperature", type=float, default=0.7, help="of sampling; 0 is greedy")
    parser.add_argument("--json", type=Path, default=Path("runs/decoding.json"), help="file for the figures")
    options = parser.parse_args()
    if options.temperature < 0:
        parser.error(f"--temperature {options.temperature}: must be 0 or more")
    found: dict[str, Any] = {}
    whole: tuple[Right, Right] = ({}, {})
    folder = options.json.with_suffix("") / str(options.temperature)
    for run in options.runs:
        pair = asked_again(run, options.temperature, folder / run.resolve().as_posix().strip("/").replace("/", "-"))
        found[str(run)] = figures(*pair)
        for total, part in zip(whole, pair, strict=True):
            for name, right in part.items():
                total.setdefault(name, []).extend(right)
    found["all"] = figures(*whole)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    for run, figure in found.items():
        for tools, values in figure.items():
            print(run, tools, *(f"{name} {_shown(value)}" for name, value in values.items()), sep="  ")


def _shown(value: dict[str, Any]) -> str:
    low, high = value["ci95"]
    return f"{value['value']:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
