"""Stage 2: GRPO on whole rollouts, which optimises strategy by the composite reward.

    python recipes/grpo.py                                                  # after synthesis.py and sft.py

Questions, toolsets and worlds come from a run folder, also those whose traces were rejected: GRPO needs no traces.
Every rollout of a group meets the same world, so equal calls get equal results.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from understudy.agents.toolactor import ToolActor
from understudy.lab.teacher import ScriptedModel
from understudy.reward.composite import Weights
from understudy.rollout import Limits
from understudy.synthesis.store import RunFolder
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox
from understudy.training.grpo import GrpoConfig, grpo
from understudy.training.progress import Progress
from understudy.training.rollouts import TaskSet


def show(at: Progress) -> None:
    wanted = ("reward", "em", "invalid_calls", "malformed_turns", "validation/em", "seconds/rollouts")
    shown = [f"{key} {at.values[key]:.3g}" for key in wanted if key in at.values]
    if shown:  # most optimiser steps are minibatches of a batch that was reported before
        print(f"step {at.step}/{at.total}  {'  '.join(shown)}")


def main(args: argparse.Namespace) -> None:
    # 1. Tasks with what each offers and what is true in it; some are kept to choose the weights on.
    asked = RunFolder(args.tasks).load()
    held = TaskSet.of(asked.tasks[: args.validation], asked.toolsets, asked.worlds)
    train = TaskSet.of(asked.tasks[args.validation :], asked.toolsets, asked.worlds)

    # 2. Who answers calls. Any ToolSource will do; here a simulator on the scripted model. A chat model over HTTP
    #    (`Endpoint`) takes its place without another change. Where it fails, the rollout is masked, never punished.
    tools = Toolbox(SimulatedTools(ToolActor(ScriptedModel(args.seed))))

    # 3. R = correctness + 0.2 · consistency + 0.1 · format, and a right answer always beats a wrong one.
    config = GrpoConfig(
        model=str(args.model),
        steps=args.steps,
        prompts=args.prompts,
        generations=args.generations,
        minibatches=2,
        lr=1e-4,
        optimizer="muon",
        beta=0.0,
        weights=Weights(consistency=0.2, format=0.1),
        limits=Limits(max_turns=6, max_tokens=400),
        max_turn_tokens=96,
        validate_every=2,
        save_every=2,
        seed=args.seed,
    )
    result = grpo(config, args.out, train, tools, held, on_progress=show, resume=True)
    print(result.model_dump_json(indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("runs/recipes/sft/model"))
    parser.add_argument("--tasks", type=Path, default=Path("runs/recipes/synthesis"), help="run folder of a synthesis")
    parser.add_argument("--steps", type=int, default=4, help="batches of rollouts")
    parser.add_argument("--prompts", type=int, default=8, help="questions per batch")
    parser.add_argument("--generations", type=int, default=8, help="rollouts per question")
    parser.add_argument("--validation", type=int, default=32, help="questions to choose the weights on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/recipes/grpo"))
    main(parser.parse_args())
