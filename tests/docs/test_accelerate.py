"""The shipped accelerate configurations are read by accelerate, and every key of theirs reaches something."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DeepSpeedPlugin, FullyShardedDataParallelPlugin

FILES = sorted((Path(__file__).parents[2] / "configs" / "accelerate").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_accelerate_reads_it(path):
    config = load_config_from_file(str(path))
    assert (config.mixed_precision, config.num_processes) == ("bf16", 8)
    if config.distributed_type == "FSDP":
        known = inspect.signature(FullyShardedDataParallelPlugin).parameters
        keys = {key.removeprefix("fsdp_") for key in config.fsdp_config} - {"version"}
        assert "fsdp_version" in known
    else:
        known = inspect.signature(DeepSpeedPlugin).parameters
        keys = set(config.deepspeed_config) - {"offload_optimizer_device", "offload_param_device"}
    assert keys <= set(known), "accelerate would ignore it"


def test_all_are_there():
    assert [path.stem for path in FILES] == ["deepspeed-zero2", "deepspeed-zero3", "fsdp2"]
