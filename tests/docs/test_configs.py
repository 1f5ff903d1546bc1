"""Every shipped configuration is accepted by its command, and those of synthesis run as they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from understudy.cli import grpo, sft
from understudy.cli.demo import DemoConfig
from understudy.cli.policies import open_policy
from understudy.cli.synth import SynthConfig, synth
from understudy.config import load_config
from understudy.evaluation.run import run_evaluation
from understudy.evaluation.settings import EvalConfig
from understudy.lab.serve import serve
from understudy.lab.teacher import ScriptedModel
from understudy.training.settings import GrpoConfig, SftConfig

ROOT = Path(__file__).parents[2]
COMMANDS = {"demo": DemoConfig, "synth": SynthConfig, "eval": EvalConfig, "sft": SftConfig, "grpo": GrpoConfig}
FILES = sorted((ROOT / "configs").rglob("*.toml"))
TRAINING = [path for path in FILES if path.stem in ("sft", "grpo")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_configuration_is_accepted(path):
    config = load_config(COMMANDS.get(path.parent.name) or COMMANDS[path.stem], path)
    assert config.model_fields_set, "it sets nothing"


def test_the_default_demo_is_what_it_says():
    assert load_config(DemoConfig, ROOT / "configs" / "demo" / "default.toml") == DemoConfig()


async def test_evidence_runs_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    summary = await synth(load_config(SynthConfig, Path("configs/synth/evidence.toml")), tmp_path)
    assert (summary.tasks, summary.kept) == (6, 6)


async def test_endpoint_runs_against_the_labs_server(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with serve(ScriptedModel()) as base_url:
        path, override = Path("configs/synth/endpoint.toml"), f'endpoint.base_url="{base_url}"'
        summary = await synth(load_config(SynthConfig, path, [override]), tmp_path)
    assert summary.kept == summary.tasks == 16


@pytest.fixture(scope="module")
def trainable(tmp_path_factory):
    """A folder with the run that training configurations read."""
    folder = tmp_path_factory.mktemp("trainable")
    config = SynthConfig(questions=str(ROOT / "recipes/questions/lab.jsonl"), teacher="scripted")
    asyncio.run(synth(config, folder / "runs" / "synth"))
    return folder


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_training_is_ready_to_start_as_it_is(path, trainable, monkeypatch, capsys):
    monkeypatch.chdir(trainable)
    command = {"sft": sft.command, "grpo": grpo.command}[path.stem]
    command(path, Path("out"), dry_run=True)
    assert f"{load_config(COMMANDS[path.stem], path).lr:g}" in capsys.readouterr().out
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["hotpotqa", "musique", "2wikimultihopqa", "bamboogle"])
async def test_a_small_evaluation_of_each_benchmark_runs_as_it_is(shared_data, name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    finished = await run_evaluation(load_config(EvalConfig, Path(f"configs/eval/{name}.toml")), tmp_path, open_policy)
    assert finished.result.em.n == 100
    assert finished.result.rule == name
    assert finished.result.stops == {"answered": 100}
    assert finished.controls.noop.em.value == 0
