"""Traces for real questions without any model: annotated reasoning, followed step by step.

    python recipes/evidence.py                                              # six rows that lie beside this file
    python recipes/evidence.py --questions 2wikimultihopqa/train.json --out runs/2wiki

2WikiMultiHopQA annotates triples, MuSiQue a decomposition into sub-questions. A policy and a tool source follow them
through the same loop, and the same audit decides. Needs no torch, no key and no network.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from understudy.grammar import write_react
from understudy.readers import read_tasks
from understudy.schema import dumps
from understudy.synthesis.pipeline import SynthesisSettings, synthesise
from understudy.synthesis.store import REJECTED, RunFolder
from understudy.teachers.evidence import EvidenceTeacher, plan
from understudy.teachers.plan import Unplannable
from understudy.trace import Turn


async def main(args: argparse.Namespace) -> None:
    tasks = list(read_tasks(args.questions, limit=args.limit))

    # Some annotations don't lead from the question to the answer. Such tasks fail by name, and nothing is invented.
    for task in tasks:
        if isinstance(found := plan(task), Unplannable):
            print(f"{task.id}: {found.reason}")

    # `detours` is the share of rollouts with a needless call that finds nothing: traces without any failure teach no
    # recovery.
    teacher = EvidenceTeacher(detours=args.detours)
    settings = SynthesisSettings(seed=args.seed)
    with RunFolder(args.out) as folder:
        config = {"questions": str(args.questions), "detours": args.detours, **settings.model_dump(mode="json")}
        folder.start(config, resume=True)
        summary = await synthesise(tasks, teacher, folder, settings)

    print(f"{summary.kept} of {summary.tasks} traces kept, {summary.traces_per_second:.0f} per second")
    for record in folder.records(REJECTED):
        print(f"rejected {record['task_id']}: {'; '.join(record['details'])}")

    for trace in list(folder.traces())[: args.show]:
        print(f"\n{trace.question}\ntools: {', '.join(contract.name for contract in trace.toolset)}")
        for step in trace.steps:
            if isinstance(step.turn, Turn):
                print(write_react(step.turn))
            for observation in step.observations:
                print(f"Observation: {dumps(observation.content)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, default=Path(__file__).parent / "questions" / "2wiki_layout.jsonl")
    parser.add_argument("--limit", type=int, help="read at most this many questions")
    parser.add_argument("--detours", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=2, help="traces to print")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes/evidence"))
    asyncio.run(main(parser.parse_args()))
