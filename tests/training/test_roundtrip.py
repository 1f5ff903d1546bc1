"""Any schema and any call survive JSON Lines, parquet, a chat template and the parser; control tokens are broken up."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from handmade import TASK
from strategies import contracts, json_values, objects, prose
from understudy.schema import dumps
from understudy.synthesis.dataset import export_dataset, read_dataset
from understudy.synthesis.store import RunFolder
from understudy.trace import Call, Observation, Provenance, Source, Step, Stop, Trace, Turn, error_status
from understudy.training.react import ReactRenderer
from understudy.training.render import Renderer, template_text
from understudy.world import World


@pytest.fixture(scope="module")
def renderers(tokenizer):
    native = [Renderer(tokenizer, template) for template in (template_text("lab"), tiny.trl_template("qwen2_5"))]
    return [*native, ReactRenderer(tiny.build_llama_tokenizer(), tiny.trl_template("llama3_1"))]


@st.composite
def traces(draw):
    """A trace of one call to a tool of any schema."""
    contract = draw(contracts)
    call = Call(id="call_0_0", name=contract.name, arguments=draw(objects))
    content = draw(json_values.filter(lambda value: error_status(value) is None))
    seen = Observation(call_id=call.id, name=call.name, content=content, source=Source.SIMULATED)
    return Trace(
        task_id=TASK.id,
        question=TASK.question,
        toolset=(contract,),
        world_id="w",
        steps=(
            Step(turn=Turn(thought=draw(prose), calls=(call,)), observations=(seen,)),
            Step(turn=Turn(answer="x")),
        ),
        stop=Stop.ANSWERED,
        provenance=Provenance(policy="p", tools="t"),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(trace=traces())
def test_any_schema_and_call_survive_every_form(renderers, tmp_path_factory, trace):
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    with folder:
        folder.start({}, resume=False)
        folder.take(TASK)
        folder.keep(TASK, World(TASK.id), trace)
    assert list(folder.traces()) == [trace]
    (read,) = read_dataset(export_dataset(folder))
    assert read == trace
    assert dumps(read.toolset[0].to_openai()) == dumps(trace.toolset[0].to_openai())  # key order too
    ((_, contract),) = ((name, tools[0]) for name, tools in folder.load().toolsets.items())
    assert contract == trace.toolset[0]
    for renderer in renderers:
        said = renderer.parse(renderer.turn(read.steps[0].turn))
        assert isinstance(said, Turn)
        (call,) = trace.steps[0].turn.calls
        assert [(again.id, again.name) for again in said.calls] == [(call.id, call.name)]
        assert dumps(said.calls[0].arguments) == renderer.defuse(dumps(call.arguments))
    prompt = renderers[1].tokenizer.decode(renderers[1].prompt(read.question, read.toolset))
    line = prompt.partition("<tools>\n")[2].partition("\n</tools>")[0]
    assert orjson.loads(line) == orjson.loads(renderers[1].defuse(dumps(trace.toolset[0].to_openai())))
    prompt = renderers[2].tokenizer.decode(renderers[2].prompt(read.question, read.toolset))
    line = prompt.partition("(JSON Schemas):\n")[2].partition("\n")[0]
    assert orjson.loads(line) == orjson.loads(renderers[2].defuse(dumps(trace.toolset[0].model_dump())))
