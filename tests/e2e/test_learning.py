"""The lab learns: SFT the grammar, GRPO to do at once what turns are too few to do one by one."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("torch")

import torch

from understudy.cli.demo import DemoConfig, GrpoShape, SftShape
from understudy.cli.exam import TEMPLATE, prepared
from understudy.cli.progress import Reporter
from understudy.cli.stages import SFT, grpo_settings, synthesise, train_sft
from understudy.lab.mistakes import Mistakes
from understudy.lab.tasks import make_tasks
from understudy.lab.teacher import ScriptedModel
from understudy.lab.universe import Universe
from understudy.reward.composite import Weights
from understudy.rollout import Limits
from understudy.synthesis.teacher import AgentTeacher
from understudy.task import Kind
from understudy.training.grpo import grpo
from understudy.training.models import load_model, make_renderer
from understudy.training.policy import ModelPolicy, engine_for
from understudy.training.rollouts import batch_metrics, collect
from understudy.training.run import MODEL

CONFIG = DemoConfig(
    seed=3, processes=1, entities=1200, trace_questions=800, trace_kinds=(Kind.COMPARISON,), trace_hops=(2,),
    mistakes=Mistakes(), parallel=0.35, limits=Limits(max_turns=2, max_tokens=200),
    sft=SftShape(epochs=2), grpo=GrpoShape(lr=5e-4, steps=12, prompts=8, generations=8, minibatches=2, save_every=8),
)  # fmt: skip
"""Two look-ups and the calculator, in two turns: the look-ups have to be made at once, as a third of the traces do.
A third of the demo's updates, so at more than twice its rate."""
ASKED = 96


@pytest.mark.timeout(900)
def test_reward_teaches_what_traces_seldom_do(tmp_path):
    torch.set_num_threads(1)
    train, test = (Universe(CONFIG.seed, split, CONFIG.entities) for split in ("train", "test"))
    synthesise(CONFIG, tmp_path, train, Reporter())
    train_sft(CONFIG, tmp_path, Reporter())
    who = AgentTeacher.on(ScriptedModel(CONFIG.seed))
    asked = prepared(make_tasks(train, 96, 1, [Kind.COMPARISON]), who, CONFIG.seed)
    grpo(grpo_settings(CONFIG, tmp_path / SFT / MODEL), tmp_path / "grpo", asked, who.tools)
    unseen = prepared(make_tasks(test, ASKED, 2, [Kind.COMPARISON]), who, CONFIG.seed)
    places = [(name, 0) for name in unseen.tasks]

    def measured(stage: str) -> dict[str, float]:
        model, tokenizer = load_model(str(tmp_path / stage / MODEL))
        renderer = make_renderer(tokenizer, TEMPLATE)
        engine = engine_for(model, renderer.end_id, "auto", len(places))
        policy = ModelPolicy(engine, renderer, CONFIG.test_temperature, 128, stage)
        return batch_metrics(asyncio.run(collect(places, unseen, policy, who.tools, CONFIG.limits, Weights(), "exam")))

    before, after = measured(SFT), measured("grpo")
    assert after["stop/max_turns"] < before["stop/max_turns"] - 0.2, (before, after)
    assert after["em"] > before["em"] + 0.2, (before, after)
