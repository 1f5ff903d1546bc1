"""The whole method in one script, at a size that ends in about a minute on one core: read it from top to bottom.

    python recipes/whole.py

Questions → toolsets and worlds → rollouts with simulated tools → audit → SFT → GRPO → evaluation with simulated and
live tools. It uses the lab (a made-up universe, a scripted model in place of a chat model, a tiny base model) and the
code that real runs use. At this size the model learns little; `understudy demo` runs the same stages at full size.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from understudy.evaluation.compare import compare
from understudy.evaluation.controls import NoOp, NoTools, without_tools
from understudy.evaluation.runner import evaluate
from understudy.lab.base.model import weights_dir
from understudy.lab.live import LiveTools
from understudy.lab.mistakes import Mistakes
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.protocols import Teacher
from understudy.rollout import Limits, rollout
from understudy.seed import derive_seed
from understudy.synthesis.audit import audit
from understudy.synthesis.teacher import AgentTeacher
from understudy.task import Task
from understudy.tools.toolbox import Toolbox
from understudy.trace import Trace
from understudy.training.grpo import GrpoConfig, grpo
from understudy.training.policy import load_policy
from understudy.training.rollouts import TaskSet
from understudy.training.sft import SftConfig, sft

LIMITS = Limits(max_turns=6, max_tokens=400)
TURN_TOKENS = 96


async def synthesise(tasks: list[Task], teacher: Teacher, seed: int) -> list[Trace]:
    """Stage 0 in a loop; `recipes/synthesis.py` has the real one: concurrent, crash-safe, resumable."""
    kept = []
    for task in tasks:
        # The ToolMaker sees the question alone, the FactDrafter the evidence too, and neither sees the answer.
        toolset, world = await teacher.prepare(task, derive_seed(seed, task.id, "prepare"))
        # The loop. The AutoAgent thinks and calls, the ToolActor answers from the world, contracts are checked.
        trace = await rollout(task, toolset, world, teacher.policy, teacher.tools, LIMITS, derive_seed(seed, task.id))
        # Fit to learn from? Every reason why not is named.
        if findings := audit(trace, task, world):
            print(f"  rejected: {findings[0].reason}: {findings[0].detail[:90]}")
        else:
            kept.append(trace)
    return kept


async def prepared(tasks: list[Task], teacher: Teacher, seed: int) -> TaskSet:
    """Tasks with what each offers and what is true in it."""
    made = {task.id: await teacher.prepare(task, derive_seed(seed, task.id)) for task in tasks}
    toolsets = {task_id: toolset for task_id, (toolset, _) in made.items()}
    return TaskSet.of(tasks, toolsets, {task_id: world for task_id, (_, world) in made.items()})


def main(args: argparse.Namespace) -> None:
    seed, out = args.seed, args.out
    train, test = Universe(seed, "train"), Universe(seed, "test")  # they share no entity and no name

    print("synthesis")
    erring = AgentTeacher.on(ScriptedModel(seed, Mistakes(wrong_tool=0.05, malformed=0.05, wrong_answer=0.05)))
    traces = asyncio.run(synthesise(make_tasks(train, args.traces, seed), erring, seed))
    print(f"  {len(traces)} of {args.traces} traces kept")

    print("SFT: the grammar of a trace")
    config = SftConfig(
        model=str(weights_dir()), template="lab", optimizer="muon", lr=2e-3, schedule="cosine", max_length=1024,
        epochs=args.epochs, save_every=10, seed=seed,
    )  # fmt: skip
    tuned = sft(config, out / "sft", traces)
    print(f"  held-out loss {tuned.held_out_loss:.3f} after {tuned.steps} steps")

    print("GRPO: strategy, from reward")
    teacher = AgentTeacher.on(ScriptedModel(seed))
    asked = make_tasks(train, args.questions + 32, derive_seed(seed, "grpo"))
    rewarded = grpo(
        GrpoConfig(
            model=tuned.model, optimizer="muon", lr=1e-4, beta=0.0, steps=args.steps, prompts=8, generations=8,
            minibatches=2, limits=LIMITS, max_turn_tokens=TURN_TOKENS, validate_every=2, save_every=2, seed=seed,
        ),
        out / "grpo",
        asyncio.run(prepared(asked[32:], teacher, seed)),
        teacher.tools,
        validation=asyncio.run(prepared(asked[:32], teacher, seed)),
    )  # fmt: skip
    print(f"  reward {rewarded.reward_first:.3f} → {rewarded.reward_last:.3f}")

    print("evaluation: questions about the unseen universe")
    tasks = make_tasks(test, args.test, derive_seed(seed, "test"))
    given = asyncio.run(prepared(tasks, teacher, seed))
    live = LiveTools(test)
    offered = {task.id: live.toolset(task, seed) for task in tasks}
    models = {"base": (str(weights_dir()), "lab"), "sft": (tuned.model, ""), "grpo": (rewarded.model, "")}
    policies = {name: load_policy(*model, max_turn_tokens=TURN_TOKENS) for name, model in models.items()}

    results = {
        name: asyncio.run(evaluate(tasks, given.toolsets, given.worlds, policy, teacher.tools, LIMITS, seed))
        for name, policy in policies.items()
    }
    results["grpo, live"] = asyncio.run(evaluate(tasks, offered, None, policies["grpo"], Toolbox(live), LIMITS, seed))
    nothing = without_tools(tasks)
    results["grpo, no tools"] = asyncio.run(evaluate(tasks, nothing, None, policies["grpo"], NoTools(), LIMITS, seed))
    results["no-op"] = asyncio.run(evaluate(tasks, given.toolsets, given.worlds, NoOp(), teacher.tools, LIMITS, seed))
    for name, result in results.items():
        print(f"  EM {name:16}{result.em.value:.3f}  [{result.em.ci95[0]:.3f}, {result.em.ci95[1]:.3f}]")
    gap = compare(results["grpo"], results["grpo, live"]).em
    print(f"  live − simulated   {gap.value:.3f}  [{gap.ci95[0]:.3f}, {gap.ci95[1]:.3f}]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=200, help="questions that the teacher makes traces of")
    parser.add_argument("--epochs", type=float, default=2.0, help="of SFT")
    parser.add_argument("--questions", type=int, default=64, help="questions for GRPO")
    parser.add_argument("--steps", type=int, default=4, help="batches of rollouts in GRPO")
    parser.add_argument("--test", type=int, default=60, help="questions about the unseen universe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/recipes/whole"))
    main(parser.parse_args())
