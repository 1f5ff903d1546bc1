"""Stage 2: GRPO on whole rollouts, which optimises strategy by the composite reward.

Every step rolls out a batch of tasks, a group of rollouts each, and takes a number of clipped optimiser steps on it.
Observations carry no gradient. With validation tasks, the weights that do best on them (greedy) are kept.
"""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

from datasets import Dataset
from transformers.trainer_callback import PrinterCallback
from trl import GRPOConfig as TrlGrpoConfig

from understudy.agents.autoagent import Form
from understudy.agents.judge import Judge
from understudy.errors import InputError
from understudy.jsonl import read_json
from understudy.metric import Metric
from understudy.noun import Noun
from understudy.protocols import ToolSource
from understudy.seed import derive_seed
from understudy.training.checkpoints import STATE, last_checkpoint
from understudy.training.devices import process_count
from understudy.training.engines import engine_of, vllm_arguments, vllm_started
from understudy.training.grpo_trainer import RolloutTrainer, given_reward
from understudy.training.head import score_labelled_only
from understudy.training.models import adapters, load_model, make_renderer, merge
from understudy.training.optimizers import build_optimizer
from understudy.training.policy import ModelPolicy
from understudy.training.progress import MetricsLog, OnProgress
from understudy.training.rollouts import TaskSet
from understudy.training.run import (
    METRICS,
    MODEL,
    arguments,
    save_weights,
    train_logged,
    weights_folder,
    without_mask,
)
from understudy.training.settings import GrpoConfig as GrpoConfig
from understudy.training.validation import BEST, Validator
from understudy.training.watch import Watch


class GrpoResult(Noun):
    """What GRPO did.

    Attributes:
        model: folder of the chosen model.
        form: how tools are offered and turns written: ``native`` by the chat template, or ``react`` as plain text.
        steps: batches of rollouts.
        best_step: the batch after which the chosen weights were measured; ``steps`` without validation, or the batch of
            the checkpoint that was gone back to.
        stopped: what the watch ended training for; None where it went on to its end.
        validation: exact match of the chosen weights on the validation tasks (greedy); None without.
        reward_first: mean reward over the first tenth of the batches.
        reward_last: mean reward over the last tenth.
        seconds: wall time.
    """

    model: str
    form: Form
    steps: int
    best_step: int
    stopped: str | None
    validation: Metric | None
    reward_first: float
    reward_last: float
    seconds: float


def grpo(
    config: GrpoConfig,
    out: Path,
    given: TaskSet,
    tools: ToolSource,
    validation: TaskSet | None = None,
    on_progress: OnProgress | None = None,
    resume: bool = False,
    open_things: AsyncExitStack | None = None,
    judge: Judge | None = None,
) -> GrpoResult:
    """Train a model by GRPO and save it to ``out/model``.

    Args:
        config: settings.
        out: the run's folder: ``model``, ``checkpoints``, ``metrics.jsonl``, ``best``.
        given: tasks to train on.
        tools: who answers calls.
        validation: tasks on which the weights are chosen; None keeps the last.
        on_progress: called at every log.
        resume: go on from the newest complete checkpoint, if there is one.
        open_things: closed at the end, on the event loop of the rollouts, as clients of remote simulators need it.
        judge: asked about every trace, where ``weights.judge`` is not 0.

    Raises:
        InputError: no tasks, an unreadable model, or an argument that TRL refuses.
    """
    started = time.monotonic()
    if not given.tasks:
        raise InputError("there are no tasks to train on")
    if (judge is None) != (config.weights.judge == 0):
        raise InputError("a judge and weights.judge go together; one of them is missing")
    logging.getLogger("trl").setLevel(logging.ERROR)  # it prints whole batches when a simulator failed
    model, tokenizer = load_model(config.model, whole=config.lora is None)
    renderer = make_renderer(tokenizer, config.template, config.system)
    trainer = _trainer(config, out, model, tokenizer, given)
    open_things = open_things or AsyncExitStack()
    engine = engine_of(config, trainer, renderer.end_id, open_things)
    policy = ModelPolicy(engine, renderer, config.temperature, config.max_turn_tokens, config.model, config.max_context)
    trainer.connect(policy, given, tools, config, judge)
    validator = None
    if validation is not None:
        validator = Validator(trainer, policy, validation, tools, config, out / BEST)
        trainer.add_callback(validator)
    watch = Watch(config.watch, trainer.window)
    trainer.add_callback(watch)
    checkpoint = last_checkpoint(out) if resume else None
    with trainer.runner:
        try:
            train_logged(trainer, MetricsLog("grpo", out / METRICS, on_progress), checkpoint)
        finally:
            trainer.runner.run(open_things.aclose())
    best, folder = read_json(out / BEST / "best.json") if validator else None, weights_folder(config, out)
    steps = trainer.rolled
    best_step = best["step"] if best else steps
    if not best:
        if watch.stopped and (good := last_checkpoint(out, watch.good * trainer.window)):
            trainer._load_from_checkpoint(str(good))
            best_step = read_json(good / STATE)["global_step"] // trainer.window
        save_weights(trainer, renderer, folder)
    if trainer.is_world_process_zero():
        if best:
            shutil.copytree(out / BEST, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("best.json"))
        if folder != out / MODEL:
            merge(config.model, folder, renderer, out / MODEL)
    rewards = [line["reward"] for line in trainer.state.log_history if line.get("reward") is not None]
    tenth = max(1, len(rewards) // 10)
    return GrpoResult(
        model=str(out / MODEL),
        form=renderer.form,
        steps=steps,
        best_step=best_step,
        stopped=watch.stopped,
        validation=Metric(**best["em"]) if best else None,
        reward_first=sum(rewards[:tenth]) / max(1, len(rewards[:tenth])),
        reward_last=sum(rewards[-tenth:]) / max(1, len(rewards[-tenth:])),
        seconds=round(time.monotonic() - started, 3),
    )


def schedule(tasks: Sequence[str], count: int, seed: int) -> list[str]:
    """``count`` task ids: every task once in random order, then again in another. Follows from the seed alone."""
    order: list[str] = []
    while len(order) < count:
        turn = sorted(tasks)
        Random(derive_seed(seed, "tasks", len(order))).shuffle(turn)
        order += turn
    return order[:count]


def grpo_arguments(config: GrpoConfig, out: Path) -> Any:
    """The arguments of TRL's trainer.

    Raises:
        InputError: the rollouts of a batch can't be split as asked, or ``trainer`` holds an argument that TRL refuses.
    """
    rollouts, processes = config.prompts * config.generations, process_count()
    if rollouts % (config.minibatches * processes):
        raise InputError(
            f"{rollouts} rollouts can't be split into {config.minibatches} minibatches on {processes} devices"
        )
    minibatch = rollouts // (config.minibatches * processes)
    micro = config.micro_batch or minibatch
    if minibatch % micro:
        raise InputError(f"micro_batch: {minibatch} rollouts per step and device can't be split by {micro}")
    window = config.minibatches * config.iterations
    return arguments(
        TrlGrpoConfig,
        config,
        out,
        max_steps=config.steps * window,
        save_steps=max(1, config.save_every) * window,
        # While the watch loses patience, a checkpoint from before must not make room for newer ones.
        save_total_limit=2 + config.watch.patience // max(1, config.save_every),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=minibatch // micro,
        steps_per_generation=rollouts // (micro * processes),
        num_generations=config.generations,
        num_iterations=config.iterations,
        temperature=config.temperature,
        beta=config.beta,
        epsilon=config.epsilon,
        max_completion_length=config.limits.max_tokens,
        shuffle_dataset=False,
        remove_unused_columns=False,
        **vllm_arguments(config),
    )


def _trainer(config: GrpoConfig, out: Path, model: Any, tokenizer: Any, given: TaskSet) -> RolloutTrainer:
    args = grpo_arguments(config, out)
    # The order of tasks is ours, and one epoch long, so that a resumed run meets the tasks that are owed.
    order = schedule(list(given.tasks), config.steps * config.prompts, config.seed)
    rows = [{"prompt": given.tasks[task_id].question, "task_id": task_id} for task_id in order]
    optimizer = None
    if config.optimizer == "muon":
        optimizer = build_optimizer(model, "muon", config.lr, config.weight_decay)
    with warnings.catch_warnings(), vllm_started(config):
        warnings.filterwarnings(
            "ignore", message=".*rollout_func.*experimental"
        )  # known: TRL is pinned, the seam tested
        trainer = RolloutTrainer(
            model=model,
            reward_funcs=[given_reward],
            args=args,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            rollout_func=RolloutTrainer.roll_out,
            optimizers=(optimizer, None),
            peft_config=adapters(config.lora) if config.lora else None,
        )
    trainer.remove_callback(PrinterCallback)
    for one in filter(None, (trainer.model, trainer.ref_model)):
        without_mask(one)
        score_labelled_only(one, config.temperature)
    return trainer
