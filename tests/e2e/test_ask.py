"""``understudy ask`` as a user runs it: a local model with the scripted simulator, and an endpoint without torch."""

from __future__ import annotations

import json
import re

import pytest

from commands import one_line, run, run_as_user, without
from understudy.lab.base.model import weights_dir
from understudy.lab.serve import serve
from understudy.lab.teacher import ScriptedModel
from understudy.trace import Stop, Trace

QUESTION = "Who is the founder of the studio of the film Nulpom Melbit?"


@pytest.mark.parametrize("model", [("lab",), (weights_dir(), "--set", "policy.template=lab")], ids=["base", "folder"])
def test_a_local_model_is_asked_and_its_tokens_are_kept(tmp_path, model):
    name, *more = model
    done = run("ask", name, QUESTION, *more, "--simulator", "lab", "--json", tmp_path / "trace.json",
               "--set", "policy.max_turn_tokens=40")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    trace = Trace.model_validate(json.loads((tmp_path / "trace.json").read_text()))
    assert re.search(r"@[0-9a-f]{12}$", trace.provenance.policy)
    assert trace.provenance.policy in done.stdout.splitlines()[0]
    assert trace.provenance.facts == "drafted"
    assert len(trace.toolset) >= 3
    assert sum(trace.tokens.mask) == trace.provenance.usage["sampled"] > 0
    assert trace.stop is not Stop.POLICY_ERROR
    assert done.stdout.splitlines()[-1].startswith(f"stop      {trace.stop}")


def test_torch_is_needed_by_local_models_alone(tmp_path):
    bare = without(tmp_path, "torch", "transformers", "trl", "datasets", "pyarrow", "tokenizers", "safetensors")
    with serve(ScriptedModel()) as url:
        done = run_as_user("ask", "scripted-lab", QUESTION, "--base-url", url, "--simulator", "lab", env=bare)
    assert done.returncode == 0, done.stderr
    assert "stop      answered · 2 calls" in done.stdout
    local = run_as_user("ask", "lab", QUESTION, "--simulator", "lab", env=bare)
    assert "run: pip install 'understudy[train]'" in one_line(local)
