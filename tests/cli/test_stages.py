import statistics

from understudy.cli.demo import DemoConfig
from understudy.cli.progress import Reporter
from understudy.cli.stages import SYNTH, TEMPLATE, synthesise
from understudy.jsonl import read_jsonl
from understudy.lab.base.tokenizer import build_tokenizer
from understudy.lab.universe import Universe
from understudy.synthesis.store import TRACES
from understudy.trace import Trace
from understudy.training.models import make_renderer


def test_half_of_the_demos_traces_are_within_300_tokens(tmp_path):
    config = DemoConfig(trace_questions=600)
    synthesise(config, tmp_path, Universe(config.seed, "train", config.entities), Reporter())
    renderer = make_renderer(build_tokenizer(), TEMPLATE)
    traces = [Trace.model_validate(row) for row in read_jsonl(tmp_path / SYNTH / TRACES)]
    assert len(traces) > 450
    assert statistics.median(len(renderer.render(trace).input_ids) for trace in traces) <= 300
