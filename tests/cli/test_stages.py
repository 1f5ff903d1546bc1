import statistics

from understudy.cli.demo import DemoConfig
from understudy.cli.progress import Reporter
from understudy.cli.stages import SYNTH, TEMPLATE, synthesise
from understudy.lab.base.tokenizer import build_tokenizer
from understudy.lab.retelling import tellings
from understudy.lab.universe import Universe
from understudy.training.models import make_renderer
from understudy.training.sft import read_traces


def test_half_of_the_demos_traces_are_within_300_tokens(tmp_path):
    config = DemoConfig(trace_questions=600)
    synthesise(config, tmp_path, Universe(config.seed, "train", config.entities), Reporter())
    renderer = make_renderer(build_tokenizer(), TEMPLATE)
    traces = read_traces(str(tmp_path / SYNTH))
    assert len(traces) > 450
    for told in (traces, tellings(traces, 2, seed=0)[len(traces) :]):
        assert statistics.median(len(renderer.render(trace).input_ids) for trace in told) <= 300
