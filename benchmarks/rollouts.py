"""Our rollouts beside what bounds them and beside TRL's own tool loop; our engine beside Hugging Face ``generate``.

    python benchmarks/rollouts.py --json rollouts.json

All in one run, one thread, on the lab's base model: rollouts of one to four turns, with tools that take a second.
* ``ratio_vs_critical_path``: time of our rollouts, over the tool time of the longest one plus the same generation with
  tools that take none. At most 1.15: tools are waited for together, and nobody waits for others.
* ``ratio_vs_trl``: time of ``GRPOTrainer(tools=…)``, asynchronous tools, over ours. At least 10: TRL runs the tools of
  one rollout after those of another, and has a barrier per turn.
* ``engine_vs_generate``: sampled tokens per second of the static engine over those of ``generate``, both in our loop,
  with tools that take no time. At least 1.5.

All sides sample the same tokens (``scripted.py``), which is asserted. No two rollouts have the same prompt: ours shares
none here, as it would in a group.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from scripted import Dictation, Scripted, following, script
from transformers.utils import get_json_schema
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import qwen3_template

from understudy.contract import ToolContract
from understudy.jsonl import write_json
from understudy.lab.base import load_base
from understudy.reward.composite import Weights
from understudy.rollout import Limits
from understudy.task import Task
from understudy.trace import Call, Observation, Source, Stop
from understudy.training.engine import Engine
from understudy.training.generate import GenerateEngine
from understudy.training.policy import ModelPolicy
from understudy.training.render import Renderer, template_text
from understudy.training.rollouts import Batch, TaskSet, collect
from understudy.training.static import StaticEngine
from understudy.world import World


def tool_taking(seconds: float) -> Any:
    """The tool of both sides."""

    async def find_heir(person: str):
        """Find who came after a person.

        Args:
            person: Whose heir is asked for.
        """
        await asyncio.sleep(seconds)
        return json.dumps({"heir": f"{person} Kesh"})

    return find_heir


class _Tools:
    """Our side's source of tools."""

    name = "find_heir"

    def __init__(self, seconds: float) -> None:
        self._tool = tool_taking(seconds)

    def source_of(self, contract: ToolContract) -> Source:
        return Source.SIMULATED

    async def call(self, contract: ToolContract, call: Call, world: World) -> Observation:
        content = json.loads(await self._tool(**call.arguments))
        return Observation(call_id=call.id, name=call.name, content=content, source=Source.SIMULATED)


class _Native(GRPOTrainer):
    """TRL as it is; the time that rollouts take is kept, and what they gave."""

    def _generate(self, prompts: list[Any]) -> Any:
        started = time.perf_counter()
        made = super()._generate(prompts)
        self.seconds, self.completions = time.perf_counter() - started, made[1]
        return made


def measure_trl(model: Any, tokenizer: Any, batch: Batch, latency: float) -> float:
    """Seconds that TRL's loop takes for the conversations of ``batch``."""
    spoken = [trace.tokens for trace in batch.traces if trace.tokens]
    turns = {start: turn for tokens in spoken for start, turn in following(tokens).items()}
    generate = model.generate

    def dictated(input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: Any) -> Any:
        rows = zip(input_ids, attention_mask.bool(), strict=True)
        dictation = Dictation([turns[tuple(ids[inside].tolist())] for ids, inside in rows])
        return generate(input_ids=input_ids, attention_mask=attention_mask, logits_processor=[dictation], **others)

    model.generate = dictated
    # TRL knows how Qwen's turns are read; the lab's have the same tags after another start.
    tokenizer.response_template = {**qwen3_template, "start_anchor": "<|assistant|>"}
    rows = [{"prompt": [{"role": "user", "content": task.question}]} for task in batch.tasks]
    with TemporaryDirectory() as folder:
        args = GRPOConfig(
            folder, use_cpu=True, bf16=False, gradient_checkpointing=False, per_device_train_batch_size=len(rows),
            num_generations=2, max_completion_length=512, beta=0.0, report_to=[],
        )  # fmt: skip
        trainer = _Native(
            model=model, reward_funcs=[lambda completions, **_: [0.0] * len(completions)], args=args,
            train_dataset=Dataset.from_list(rows), processing_class=tokenizer, tools=[tool_taking(latency)],
        )  # fmt: skip
        trainer._generate_and_score_completions(rows)
    assert trainer.completions == [[*tokens.completion] for tokens in spoken], "both sides must say the same"
    return float(trainer.seconds)


def measure(rollouts: int, latency: float, rounds: int) -> dict[str, Any]:
    """All three ratios, and what they are made of."""
    model, tokenizer = load_base()
    torch.nn.init.zeros_(model.model.norm.weight)
    renderer = Renderer(tokenizer, template_text("lab"))
    tokenizer.chat_template = renderer.template
    contract = ToolContract.from_openai(get_json_schema(tool_taking(0)))
    tasks = [Task(id=str(n), question=f"Who is last in the line of Anna {n}?", answers=("?",)) for n in range(rollouts)]
    given = TaskSet.of(tasks, {task.id: [contract] for task in tasks})
    turns = {
        tuple(renderer.prompt(task.question, [contract])): [renderer.turn(turn) for turn in script(n)]
        for n, task in enumerate(tasks)
    }
    sampled = sum(len(ids) for said in turns.values() for ids in said)

    def ours(kind: Callable[..., Engine], seconds: float) -> Batch:
        engine = Scripted(kind(model, renderer.end_id, rollouts), turns, model.config.vocab_size)
        names, policy = [(task.id, 0) for task in tasks], ModelPolicy(engine, renderer)
        batch = asyncio.run(collect(names, given, policy, _Tools(seconds), Limits(), Weights(), 0))
        assert {trace.stop for trace in batch.traces} == {Stop.ANSWERED}
        return batch

    kinds = ((StaticEngine, latency), (StaticEngine, 0.0), (GenerateEngine, 0.0))
    ours(*kinds[1])  # warm-up
    batches = [[ours(*kind) for kind in kinds] for _ in range(rounds)]
    seconds = [[batch.seconds_rollouts for batch in made] for made in batches]
    longest = max(len(trace.observations) for trace in batches[0][0].traces) * latency
    trl = measure_trl(model, tokenizer, batches[0][0], latency)
    waiting, idle, generate = (statistics.median(column) for column in zip(*seconds, strict=True))
    return {
        "ratio_vs_critical_path": statistics.median(slow / (longest + fast) for slow, fast, _ in seconds),
        "ratio_vs_trl": trl / waiting,
        "engine_vs_generate": statistics.median(theirs / fast for _, fast, theirs in seconds),
        "seconds": {"ours": waiting, "ours_without_latency": idle, "longest_tool_time": longest, "trl": trl},
        "tokens_per_second": {"static": sampled / idle, "generate": sampled / generate},
        "sampled_tokens": sampled, "rollouts": rollouts, "latency": latency, "rounds": rounds,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--rollouts", type=int, default=64, help="an even number")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds that each call takes")
    parser.add_argument("--rounds", type=int, default=5, help="of all but TRL's loop, which runs once; medians count")
    given = parser.parse_args()
    torch.set_num_threads(1)
    figures = measure(given.rollouts, given.latency, given.rounds)
    for name, wanted in (("critical_path", "<= 1.15"), ("trl", ">= 10"), ("generate", ">= 1.5")):
        key = f"engine_vs_{name}" if name == "generate" else f"ratio_vs_{name}"
        print(f"{key}: {figures[key]:.2f}, to be {wanted}")
    if given.json:
        write_json(given.json, figures)


if __name__ == "__main__":
    main()
