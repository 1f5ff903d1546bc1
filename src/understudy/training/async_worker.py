"""TRL's asynchronous GRPO, fed by our rollouts: training and sampling at the same time, without a barrier.

``RolloutWorker`` is what ``AsyncGRPOTrainer(rollout_worker=…)`` takes. In a thread with an event loop of its own it
plays groups of rollouts, a number of them at once, and queues a sample for every rollout: exact token ids, mask and
log-probabilities of the sampler, the advantage within its group, and the version of the weights that its group began
with. Rollouts that a simulator spoilt leave the baseline and are not queued.

The trainer sends its weights to a vLLM server itself; the policy's engine must be one that may be sampled from
meanwhile (``VllmEngine``). Which rollouts meet which weights depends on time, so a run can't be repeated exactly.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from itertools import count

import numpy as np

from understudy.protocols import ToolSource
from understudy.seed import derive_seed
from understudy.training.grpo import schedule
from understudy.training.policy import ModelPolicy
from understudy.training.rollouts import Batch, TaskSet, batch_metrics, collect
from understudy.training.settings import GrpoConfig

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=".*experimental")  # known: TRL is pinned, the seam tested
    from trl.experimental.async_grpo.async_rollout_worker import RolloutSample

_PAUSE = 0.05
"""Seconds between two looks at a full queue."""


def samples(batch: Batch, group_id: int, model_version: int) -> list[RolloutSample]:
    """What TRL trains on of one group: a sample for each rollout that counts and has tokens."""
    counted = [(trace.tokens, one) for trace, one in zip(batch.traces, batch.rewards, strict=True) if not one.masked]
    totals = np.array([reward.total for _, reward in counted])
    spread = float(totals.std()) if counted else 0.0
    return [
        RolloutSample(
            prompt=[],
            completion=[],
            input_ids=np.array([*tokens.prompt, *tokens.completion], dtype=np.int64),
            completion_mask=np.array([*[0] * len(tokens.prompt), *tokens.mask], dtype=np.int64),
            old_log_probs=np.array([*[0.0] * len(tokens.prompt), *tokens.logprobs], dtype=np.float32),
            advantage=float((reward.total - totals.mean()) / (spread + 1e-8)),
            model_version=model_version,
            group_id=group_id,
            metrics={"reward": reward.total, "reward_std": spread},
            enqueued_at=time.time(),
        )
        for tokens, reward in counted
        if tokens
    ]


class RolloutWorker:
    """See the module; methods and queues are those of TRL's ``RolloutWorkerProtocol``.

    Args:
        config: of the reward, the limits and the seed; ``prompts`` groups of ``generations`` rollouts are under way at
            once, and as many samples wait at most.
        given: the tasks, each met once before any is met again.
        policy: the model, on an engine that may be sampled from while its weights are changed.
        tools: who answers calls.
        open_things: closed at the end, on the event loop of the rollouts.
    """

    def __init__(
        self, config: GrpoConfig, given: TaskSet, policy: ModelPolicy, tools: ToolSource,
        open_things: AsyncExitStack | None = None,
    ) -> None:  # fmt: skip
        self.rollout_buffer: queue.Queue[RolloutSample] = queue.Queue(config.prompts * config.generations)
        self.metrics_queue: queue.Queue[dict[str, float]] = queue.Queue()
        self._config, self._given, self._policy, self._tools = config, given, policy, tools
        self._open_things = open_things or AsyncExitStack()
        self._version, self._alive_at = 0, time.monotonic()
        self._failure: Exception | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollouts", daemon=True)

    def start(self) -> None:
        """Begin producing; called once, when the first weights have been sent."""
        self._thread.start()

    def stop(self) -> None:
        """Give up what is under way, and close what was opened."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def update_model_version(self, model_version: int) -> None:
        """Groups that begin from now on are of this version."""
        self._version = model_version

    def check_health(self, stale_after_s: float) -> None:
        """Raise what ended production, or say that its event loop stands still.

        Raises:
            RuntimeError: no sample will come.
        """
        if self._failure is not None:
            raise RuntimeError(f"rollouts ended: {self._failure}") from self._failure
        if (silent := time.monotonic() - self._alive_at) > stale_after_s:
            raise RuntimeError(f"rollouts stand still for {silent:.0f} s")

    def _run(self) -> None:
        try:
            asyncio.run(self._produce())
        except Exception as error:  # told to the trainer, which asks after it
            self._failure = error

    async def _produce(self) -> None:
        groups = self._groups()
        async with self._open_things:
            lanes = asyncio.gather(*(self._lane(groups) for _ in range(self._config.prompts)))
            while not (self._stopped.is_set() or lanes.done()):
                self._alive_at = time.monotonic()
                await asyncio.wait([lanes], timeout=_PAUSE)
            lanes.cancel()
            with suppress(asyncio.CancelledError):
                await lanes

    def _groups(self) -> Iterator[tuple[int, str]]:
        number = count()
        for epoch in count():
            for task_id in schedule(
                list(self._given.tasks), len(self._given.tasks), derive_seed(self._config.seed, epoch)
            ):
                yield next(number), task_id

    async def _lane(self, groups: Iterator[tuple[int, str]]) -> None:
        config = self._config
        for number, task_id in groups:
            version, names = self._version, [(task_id, place) for place in range(config.generations)]
            batch = await collect(
                names, self._given, self._policy, self._tools, config.limits, config.weights, f"{config.seed}/{number}"
            )
            self.metrics_queue.put(batch_metrics(batch))
            for sample in samples(batch, number, version):
                while self.rollout_buffer.full():  # noqa: ASYNC110 (the trainer takes them out in another thread)
                    await asyncio.sleep(_PAUSE)
                self.rollout_buffer.put_nowait(sample)
