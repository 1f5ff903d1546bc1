"""Synthesis on an endpoint in a process of its own: speed, memory, and what others reach with as many calls.

    python benchmarks/synthesis.py --json runs/synthesis.json

Writes
* ``ratio_of_limit``: at 1 s latency and 256 requests at once, calls per second over the ideal 256, the start (when the
  tool library is small and toolsets wait for each other) and the end (when tasks run out) included;
* ``ratio_vs_openai``: without latency, calls per second of a whole synthesis (agents, checks, audit, files) over those
  of a bare loop around ``openai.AsyncOpenAI``, median of the rounds, which alternate;
* ``rss_mib``: peak resident memory of a synthesis by number of tasks;
* ``peer``: tasks per second over those of distilabel, installed into an environment of its own, which makes as many
  calls on the same endpoint in one step, without tools or checks.

A client and the endpoint get a core each where there are two, and share it where there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from endpoint import CALLS_PER_TASK, tasks

from understudy.cli.synth import SynthConfig, synth
from understudy.config import build
from understudy.jsonl import write_json

PEER = "distilabel"
INSTALL = ("-m", "pip", "install", "--quiet", "distilabel[openai]==1.5.3", "requests")
PEER_PROGRAM = """
import os, sys, time
os.environ["DISTILABEL_LOG_LEVEL"] = "WARNING"
from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
url, calls, concurrency = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
questions = [{"instruction": f"Where was the director of Film-{number:07} born?"} for number in range(calls)]
with Pipeline() as pipeline:
    load = LoadDataFromDicts(data=questions, batch_size=concurrency)
    load >> TextGeneration(llm=OpenAILLM(model="m", base_url=url, api_key="none"), input_batch_size=concurrency)
if __name__ == "__main__":
    started = time.perf_counter()
    rows = pipeline.run(use_cache=False)["default"]["train"]
    assert all(row["generation"] for row in rows) and len(rows) == calls
    print(time.perf_counter() - started)
"""


def ours(url: str, count: int, concurrency: int) -> dict[str, float]:
    """One synthesis in this process: seconds, calls, peak MiB."""
    with tempfile.TemporaryDirectory() as folder:
        questions = Path(folder) / "questions.jsonl"
        with questions.open("wb") as file:
            file.writelines(tasks(count))
        endpoint = {"base_url": url, "model": "m", "concurrency": concurrency, "cache": f"{folder}/cache"}
        values = {"questions": str(questions), "teacher": "endpoint", "endpoint": endpoint}
        config = build(SynthConfig, {**values, "synthesis": {"concurrency": concurrency}}, "benchmark")
        summary = asyncio.run(synth(config, Path(folder) / "out"))
    assert summary.kept == count, summary
    assert summary.requests == CALLS_PER_TASK * count, summary
    return {"seconds": summary.seconds, "calls": summary.requests, "rss_mib": peak_mib()}


def bare(url: str, calls: int, concurrency: int) -> dict[str, float]:
    """As many calls of a bare loop around the official client, with a prompt of the size of ours."""
    import openai

    messages: list[openai.types.chat.ChatCompletionMessageParam] = [
        {"role": "system", "content": "You are the AutoAgent. " + "Look things up with the tools. " * 60},
        {"role": "user", "content": "Where was the director of Film-0000001 born?"},
    ]

    async def run() -> float:
        async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:
            owed = iter(range(calls))

            async def work() -> None:
                for _ in owed:
                    await client.chat.completions.create(model="m", messages=messages, max_tokens=512, seed=1)

            started = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(concurrency)))
            return time.perf_counter() - started

    return {"seconds": asyncio.run(run()), "calls": calls, "rss_mib": peak_mib()}


def peak_mib() -> float:
    """Peak resident memory of this process, which unlike ``ru_maxrss`` says nothing of its parent."""
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


@contextmanager
def endpoint(latency: float) -> Iterator[str]:
    """The endpoint in a process of its own, on the last core there is."""
    program = [sys.executable, str(Path(__file__).with_name("endpoint.py")), str(latency)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def measured(kind: str, url: str, amount: int, concurrency: int) -> dict[str, float]:
    """``ours`` or ``bare`` in a process of its own, on the first core there is."""
    arguments = ["--measure", kind, "--url", url, "--amount", str(amount), "--concurrency", str(concurrency)]
    result: dict[str, float] = json.loads(_on_first_core([sys.executable, __file__, *arguments]).splitlines()[-1])
    print(f"  {kind}: {result['calls'] / result['seconds']:.0f} calls/s, {result['rss_mib']:.0f} MiB", flush=True)
    return result


def _on_first_core(command: list[str]) -> str:
    core = {min(os.sched_getaffinity(0))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        os.sched_setaffinity(process.pid, core)
        out, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return out


def limit(concurrency: int, rounds: int) -> float:
    """Calls per second at 1 s latency over the ideal rate."""
    with endpoint(1.0) as url:
        result = measured("ours", url, concurrency * rounds // CALLS_PER_TASK, concurrency)
    return result["calls"] / result["seconds"] / concurrency


def saturated(count: int, concurrency: int, rounds: int) -> float:
    """Calls per second without latency over those of the bare loop."""
    ratios = []
    with endpoint(0.0) as url:
        for _ in range(rounds):
            other = measured("bare", url, count * CALLS_PER_TASK, concurrency)
            own = measured("ours", url, count, concurrency)
            ratios.append(other["seconds"] / own["seconds"])
    return statistics.median(ratios)


def peer(count: int, concurrency: int) -> dict[str, object]:
    """Tasks per second over the peer's, which makes as many calls."""
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/venv/bin/python"
        for command in ([sys.executable, "-m", "venv", f"{folder}/venv"], [python, *INSTALL]):
            subprocess.run(command, check=True)  # noqa: S603
        program = Path(folder) / "peer.py"
        program.write_text(PEER_PROGRAM)
        with endpoint(0.0) as url:
            calls = count * CALLS_PER_TASK
            seconds = float(_on_first_core([python, str(program), url, str(calls), str(concurrency)]).splitlines()[-1])
            own = measured("ours", url, count, concurrency)
    return {"name": PEER, "ratio": seconds / own["seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--memory-tasks", type=int, nargs="*", default=[1_000, 100_000])
    parser.add_argument("--count", type=int, default=500, help="tasks of a measurement without latency")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=120, help="ideal length of the measurement with latency")
    parser.add_argument("--skip-peer", action="store_true", help="without the peer, which is downloaded")
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--measure", choices=("ours", "bare"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--amount", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps((ours if args.measure == "ours" else bare)(args.url, args.amount, args.concurrency)))
        return
    result: dict[str, object] = {"ratio_of_limit": limit(args.concurrency, args.seconds)}
    result["ratio_vs_openai"] = saturated(args.count, args.concurrency, args.rounds)
    if not args.skip_peer:
        result["peer"] = peer(args.count, args.concurrency)
    with endpoint(0.0) as url:
        result["rss_mib"] = {
            str(count): round(measured("ours", url, count, args.concurrency)["rss_mib"]) for count in args.memory_tasks
        }
    print(json.dumps(result, indent=2))
    if args.json:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
