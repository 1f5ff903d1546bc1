"""Which engine samples in GRPO, and what TRL has to know about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from understudy.errors import InputError
from understudy.training.engine import Engine
from understudy.training.policy import engine_for
from understudy.training.settings import GrpoConfig
from understudy.training.trl_engine import TrlEngine
from understudy.training.vllm_engine import VllmEngine


def engine_of(config: GrpoConfig, trainer: Any, stop_id: int, open_things: AsyncExitStack) -> Engine:
    """The engine that a configuration names; what it opens is left to the stack to close.

    Args:
        config: settings.
        trainer: TRL's, with the model.
        stop_id: the token that ends a turn.
        open_things: closed on the event loop of the rollouts.

    Raises:
        InputError: it can't run this model, not in so many processes, or reports other log-probabilities.
    """
    model, rows = trainer.accelerator.unwrap_model(trainer.model), config.prompts * config.generations
    if config.engine == "vllm-server":
        assert config.vllm is not None  # noqa: S101 (the configuration was checked)
        if trainer.is_world_process_zero():
            mode = trainer.vllm_generation.vllm_client.get_server_info()["model_config"]["logprobs_mode"]
            if mode != "processed_logprobs":  # others are those of another distribution than was sampled from
                raise InputError("vllm: start the server with --logprobs-mode processed_logprobs")
        engine = VllmEngine(config.vllm, config.model, stop_id, model.config.max_position_embeddings)
        open_things.push_async_callback(engine.aclose)
        return engine
    if config.engine == "trl":
        return TrlEngine(trainer, stop_id, rows)
    if trainer.use_vllm:
        raise InputError('trainer: use_vllm goes with engine = "trl"')
    return engine_for(model, stop_id, config.engine, rows)


def vllm_arguments(config: GrpoConfig) -> dict[str, Any]:
    """Arguments of TRL's trainer by which it sends its weights to the server."""
    if not config.vllm:
        return {}
    return {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": config.vllm.url.rstrip("/")}


@contextmanager
def vllm_started(config: GrpoConfig) -> Iterator[None]:
    """Around the making of TRL's trainer, which looks for vLLM.

    Raises:
        InputError: vLLM is not installed, or the server is not there or can't take weights.
    """
    try:
        yield
    except (ImportError, ConnectionError, RuntimeError) as error:
        if not (config.vllm or config.engine == "trl"):
            raise
        raise InputError(f"engine = {config.engine!r}: {' '.join(str(error).split())}") from None
