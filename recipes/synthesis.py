"""From questions to an audited data set, by the four agents on one chat model.

    python recipes/synthesis.py                                             # scripted model, questions of the lab
    python recipes/synthesis.py --base-url http://localhost:8000/v1 --model NAME --questions FILE --out runs/mine

No torch is needed. Stopped in between, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from understudy.lab.mistakes import Mistakes
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.llm.endpoint import Endpoint, EndpointSettings
from understudy.llm.protocol import ChatModel
from understudy.messages import to_messages
from understudy.readers import read_tasks
from understudy.synthesis.dataset import export_dataset
from understudy.synthesis.pipeline import SynthesisSettings, synthesise
from understudy.synthesis.store import RunFolder
from understudy.synthesis.teacher import AgentTeacher


async def main(args: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        # 1. Questions. A file in any known layout, or made-up ones about the lab's made-up universe.
        if args.questions:
            tasks = list(read_tasks(args.questions, limit=args.limit))
        else:
            tasks = make_tasks(Universe(args.seed), args.limit, args.seed)

        # 2. A chat model. All four agents share it here; each of them takes a model of its own, too.
        #    The scripted one errs on purpose, so that the audit has something to find.
        model: ChatModel
        if args.base_url:
            settings = EndpointSettings(base_url=args.base_url, model=args.model, api_key_env=args.api_key_env)
            model = await stack.enter_async_context(Endpoint(settings))
        else:
            model = ScriptedModel(args.seed, Mistakes(wrong_tool=0.05, malformed=0.05, wrong_answer=0.05))

        # 3. The agents: a ToolMaker (question → contracts), a FactDrafter (evidence or question → facts), an AutoAgent
        #    (the policy) and a ToolActor behind the tools. Utilities such as the calculator compute in code.
        teacher = AgentTeacher.on(model)

        # 4. Every task gets a toolset and a world, goes through the loop, and its trace through the audit.
        run = SynthesisSettings(seed=args.seed, concurrency=args.concurrency)
        with RunFolder(args.out) as folder:
            config = {key: str(value) for key, value in vars(args).items() if key not in ("out", "concurrency")}
            folder.start(config, resume=True)
            summary = await synthesise(tasks, teacher, folder, run)
            dataset = export_dataset(folder)

    print(f"{summary.kept} of {summary.tasks} traces kept in {summary.seconds:.1f} s; rejected: {summary.reasons}")
    print(f"data set with the columns messages and tools: {dataset}\n\nthe first trace:")
    for message in to_messages(next(RunFolder(args.out).traces())):
        calls = [call["function"] for call in message.get("tool_calls", ())]
        print(f"{message['role']:>9}: {message['content']}", *map(json.dumps, calls))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, help="question file; default: questions of the lab")
    parser.add_argument("--limit", type=int, default=240, help="number of questions")
    parser.add_argument("--base-url", help="OpenAI-compatible endpoint up to /v1; default: the scripted model")
    parser.add_argument("--model", default="", help="the model's name there")
    parser.add_argument("--api-key-env", help="environment variable that holds the key")
    parser.add_argument("--concurrency", type=int, default=32, help="tasks in work at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/recipes/synthesis"))
    asyncio.run(main(parser.parse_args()))
