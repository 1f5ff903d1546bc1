"""``understudy lab``: the embedded world's own commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.errors import InputError, needs_extra

app = typer.Typer(help="The embedded world: its endpoint and its base model.", no_args_is_help=True)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8077,
    seed: Annotated[int, typer.Option(help="Of the scripted model's choices.")] = 0,
) -> None:
    """Serve the scripted teacher as an OpenAI-compatible endpoint, to try the endpoint path without a key."""
    from understudy.lab import serve as server
    from understudy.lab.teacher import ScriptedModel

    with server.serve(ScriptedModel(seed), host, port) as base_url:
        typer.echo(f"serving {base_url} (Ctrl-C ends)")
        server.wait()


@app.command()
def pretrain(
    out: Annotated[Path, typer.Option(help="Folder for the weights, the tokenizer and the model card.")],
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps; without it, --minutes decides.")] = None,
    minutes: Annotated[float, typer.Option(help="Time to train for.")] = 10.0,
    processes: Annotated[int, typer.Option(help="Processes that share a batch; needs --steps.", min=1)] = 1,
    compile_: Annotated[bool, typer.Option("--compile", help="A fifth faster; needs a C++ compiler.")] = False,
) -> None:
    """Train the tiny base model from random weights."""
    from understudy.lab.base.pretrain import PretrainConfig, pretrain

    try:
        with needs_extra("train"):
            settings = PretrainConfig(seed=seed, steps=steps, minutes=minutes, processes=processes, compile=compile_)
            pretrain(out, settings)
    except (FileExistsError, ValueError) as error:
        raise InputError(str(error)) from None
