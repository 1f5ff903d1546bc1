"""Score models on questions about a universe that they never saw: simulated tools, live tools, and controls.

python recipes/evaluate.py                                              # after sft.py and grpo.py
python recipes/evaluate.py --first runs/a/model --second runs/b/model --questions 300

The numbers come with 95 % intervals; differences are paired by question.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from understudy.evaluation.compare import compare
from understudy.evaluation.controls import NoOp, NoTools, chance_level, without_tools
from understudy.evaluation.runner import evaluate
from understudy.lab.live import LiveTools
from understudy.lab.tasks import chance, make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.metric import Metric
from understudy.rollout import Limits
from understudy.seed import derive_seed
from understudy.synthesis.teacher import AgentTeacher
from understudy.tools.toolbox import Toolbox
from understudy.training.policy import load_policy

LIMITS = Limits(max_turns=6, max_tokens=400)


def show(name: str, metric: Metric) -> None:
    print(f"{name:28}{metric.value:7.3f}  [{metric.ci95[0]:.3f}, {metric.ci95[1]:.3f}]  n = {metric.n}")


async def main(args: argparse.Namespace) -> None:
    # 1. Unseen questions. Train and test universes share no entity and no name.
    universe = Universe(args.seed, "test")
    tasks = make_tasks(universe, args.questions, args.seed)

    # 2. Simulated tools: the agents make a toolset and a world for each question.
    teacher = AgentTeacher.on(ScriptedModel(args.seed))
    made = {task.id: await teacher.prepare(task, derive_seed(args.seed, task.id)) for task in tasks}
    toolsets = {task_id: toolset for task_id, (toolset, _) in made.items()}
    worlds = {task_id: world for task_id, (_, world) in made.items()}

    # 3. Live tools: other names, other results, really executed. They need no world.
    live = LiveTools(universe)
    offered = {task.id: live.toolset(task, args.seed) for task in tasks}

    # 4. The same loop for every model and every source of tools; greedy, so one rollout a question.
    results = {}
    for name, folder in (("first", args.first), ("second", args.second)):
        policy = load_policy(str(folder), max_turn_tokens=96)
        results[name] = await evaluate(tasks, toolsets, worlds, policy, teacher.tools, LIMITS, args.seed)
        results[f"{name}, live"] = await evaluate(tasks, offered, None, policy, Toolbox(live), LIMITS, args.seed)

    # 5. Controls. A policy that does nothing must score exactly 0; one without tools can only guess.
    results["second, no tools"] = await evaluate(
        tasks, without_tools(tasks), None, policy, NoTools(), LIMITS, args.seed
    )
    results["no-op"] = await evaluate(tasks, toolsets, worlds, NoOp(), teacher.tools, LIMITS, args.seed)

    for name, result in results.items():
        show(f"EM {name}", result.em)
    show("EM of guessing", chance_level(tasks, chance))
    show("gain: second − first", compare(results["first"], results["second"]).em)
    show("gap: live − simulated", compare(results["second"], results["second, live"]).em)
    for kind, metric in results["second"].by_kind.items():
        show(f"second, {kind}", metric)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=Path, default=Path("runs/recipes/sft/model"))
    parser.add_argument("--second", type=Path, default=Path("runs/recipes/grpo/model"))
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(main(parser.parse_args()))
