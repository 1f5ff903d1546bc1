r"""What each part of the method is worth, in the lab: one change at a time, on several seeds, tested on unseen tasks.

python benchmarks/ablations.py --json runs/ablations.json                      # three seeds, everything
python benchmarks/ablations.py --seeds 1 --variants both live --set grpo.steps=2 test_questions=20

Every seed has its universes, traces and SFT model, which its variants share. Writes ``{variant: {"simulated", "live",
"gain", "gap", "live_over_both", "seeds"}}``: exact match with simulated and with live tools, and, paired by question
over all seeds, what the variant adds to SFT, what live tools take away, and how much better than ``both`` it is with
live tools; each with n and a 95 % interval. Work that is done is not done again, so a run that was cut goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from understudy.cli.demo import DemoConfig, Ledger
from understudy.cli.exam import CORRUPT, Sitting, examine, prepared
from understudy.cli.progress import Reporter
from understudy.cli.stages import SFT, grpo_settings, grpo_tasks, synthesise, train_sft
from understudy.config import load_config
from understudy.contract import ToolContract
from understudy.evaluation.result import Result
from understudy.lab.base.model import weights_dir
from understudy.lab.live import LiveTools
from understudy.lab.mistakes import corrupted
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.metric import Metric, paired_difference, proportion
from understudy.protocols import ToolSource
from understudy.reward.composite import Weights
from understudy.synthesis.teacher import AgentTeacher
from understudy.tools.toolbox import Toolbox
from understudy.trace import Call, Observation, Source
from understudy.training.grpo import GrpoConfig, grpo
from understudy.training.processes import deal, prepare
from understudy.training.rollouts import TaskSet
from understudy.training.run import MODEL
from understudy.world import World


class Erring:
    """Simulated tools of which a share of the facts is wrong: alike for all rollouts of a task, or anew in each call.

    The worlds that rollouts are scored against hold no facts, so that nothing is masked as the simulator's fault.
    """

    def __init__(self, tools: ToolSource, worlds: dict[str, World], share: float, alike: bool) -> None:
        self.name = f"{tools.name}, {share:.0%} wrong"
        self._tools, self._worlds, self._share = tools, worlds, share
        self._seeds = (0 for _ in count()) if alike else count()

    def source_of(self, contract: ToolContract) -> Source:
        """As the tools say."""
        return self._tools.source_of(contract)

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        """Answer from facts of which some are wrong."""
        true, seed = self._worlds[world.task_id], next(self._seeds)
        facts = (corrupted(fact, self._share, seed) for fact in true.facts)
        return await self._tools.call(contract, call, World(true.task_id, facts, true.facts_from))


@dataclass(frozen=True)
class Setting:
    """What one run of GRPO is given."""

    config: GrpoConfig
    asked: TaskSet
    tools: ToolSource


def from_base(given: Setting, seed: int, size: int) -> Setting:
    return replace(given, config=given.config.model_copy(update={"model": str(weights_dir())}))


def weighing(**changes: float) -> Callable[[Setting, int, int], Setting]:
    def change(given: Setting, seed: int, size: int) -> Setting:
        return replace(given, config=given.config.model_copy(update={"weights": Weights(**changes)}))

    return change


def erring(alike: bool) -> Callable[[Setting, int, int], Setting]:
    def change(given: Setting, seed: int, size: int) -> Setting:
        true = dict(given.asked.worlds)
        asked = replace(given.asked, worlds={key: World(key) for key in true})
        return replace(given, asked=asked, tools=Erring(given.tools, true, CORRUPT, alike))

    return change


def live(given: Setting, seed: int, size: int) -> Setting:
    tools = LiveTools(Universe(seed, "train", size))
    tasks = list(given.asked.tasks.values())
    asked = TaskSet.of(tasks, {task.id: tools.toolset(task, seed) for task in tasks})
    return replace(given, asked=asked, tools=Toolbox(tools))


VARIANTS: dict[str, Callable[[Setting, int, int], Setting]] = {
    "both": lambda given, *_: given,
    "grpo_only": from_base,
    "no_consistency": weighing(consistency=0),
    "no_format": weighing(format=0),
    "no_f1": weighing(f1=0),
    "correctness_only": weighing(f1=0, consistency=0, format=0),
    "wrong_alike": erring(alike=True),
    "wrong_anew": erring(alike=False),
    "live": live,
}
"""How each differs from the demo's GRPO after SFT (``both``). ``wrong_alike`` and ``wrong_anew``: a fifth of the facts
is wrong, for a whole group in the same way or in every call anew, which is what group consistency spares us. ``live``:
trained on live tools instead of simulated ones."""


def run_seed(config: DemoConfig, out: Path, variants: list[str]) -> dict[str, tuple[Result, Result]]:
    """Train and measure what is missing; per variant (and ``sft``), the results with simulated and with live tools."""
    out.mkdir(parents=True, exist_ok=True)
    ledger, reporter = Ledger(out / "stages.json", time.monotonic()), Reporter()
    if not ledger.is_done("synthesis"):
        with ledger.stage("synthesis"):
            synthesise(config, out, Universe(config.seed, "train", config.entities), reporter)
    if not ledger.is_done(SFT):
        with ledger.stage(SFT):
            train_sft(config, out, reporter)
    with reporter.stage("variants", len(variants)) as stage:

        def hear(done: tuple[str, float]) -> None:
            ledger.mark(*done)
            stage(sum(map(ledger.is_done, variants)))

        owed = [name for name in variants if not ledger.is_done(name)]
        deal(config.processes, trainer, config, out, jobs=owed, hear=hear)
    sittings = [
        Sitting(name if tools == "simulated" else f"{name}_{tools}", out / name / MODEL, tools)
        for tools in ("simulated", "live")
        for name in (SFT, *variants)
    ]
    found = examine(config, out / "eval", sittings, ledger, reporter)
    return {name: (found[name], found[f"{name}_live"]) for name in (SFT, *variants)}


def trainer(config: DemoConfig, out: Path) -> Callable[[str], tuple[str, float]]:
    """What trains a variant in a process of its own, and says how long it took."""
    who = AgentTeacher.on(ScriptedModel(config.seed))
    asked = prepared(grpo_tasks(config, Universe(config.seed, "train", config.entities)), who, config.seed)
    given = Setting(grpo_settings(config, out / SFT / MODEL), asked, who.tools)

    def train(name: str) -> tuple[str, float]:
        started, setting = time.monotonic(), VARIANTS[name](given, config.seed, config.entities)
        grpo(setting.config, out / name, setting.asked, setting.tools, resume=True)
        return name, time.monotonic() - started

    return train


def right(result: Result) -> list[float]:
    return [float(record.em) for record in result.records]


def summary(runs: list[dict[str, tuple[Result, Result]]]) -> dict[str, dict[str, object]]:
    """All seeds together, and the exact match of each."""
    table: dict[str, dict[str, object]] = {}
    for name in runs[0]:
        pooled = [[x for run in runs for x in right(run[name][at])] for at in (0, 1)]
        before = [x for run in runs for x in right(run[SFT][0])]
        metrics: dict[str, Metric] = {
            "simulated": proportion(int(sum(pooled[0])), len(pooled[0])),
            "live": proportion(int(sum(pooled[1])), len(pooled[1])),
            "gain": paired_difference(before, pooled[0]),
            "gap": paired_difference(pooled[0], pooled[1]),
        }
        if "both" in runs[0]:
            metrics["live_over_both"] = paired_difference([x for run in runs for x in right(run["both"][1])], pooled[1])
        seeds = [[round(sum(right(result)) / len(right(result)), 3) for result in run[name]] for run in runs]
        table[name] = {key: value.model_dump() for key, value in metrics.items()} | {"seeds": seeds}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--set", nargs="*", default=[], help="settings of the demo as key=value")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    prepare("understudy.cli.stages")
    runs = []
    for seed in range(given.first, given.first + given.seeds):
        config = load_config(DemoConfig, None, [*given.set, f"seed={seed}"])
        runs.append(run_seed(config, given.out / f"seed-{seed}", given.variants))
        table = summary(runs)
        if given.json:
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    for name, row in table.items():
        keys = ("simulated", "live", "gain", "gap", "live_over_both")
        cells = (f"{key} {_figure(row[key])}" for key in keys if key in row)
        print(f"{name:16}", *cells, sep="  ")


def _figure(metric: Any) -> str:
    low, high = metric["ci95"]
    return f"{metric['value']:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
