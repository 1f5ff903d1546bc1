"""The ``understudy`` command. Expected failures are one line on standard error and the exit code of their class."""

from __future__ import annotations

import sys

import typer

from understudy.cli import demo, lab, synth, validate
from understudy.errors import UnderstudyError

app = typer.Typer(
    name="understudy",
    help="Train tool-using language-model agents on simulated tools.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.command)
app.command("synth")(synth.command)
app.command("validate")(validate.command)
app.add_typer(lab.app, name="lab")


def main() -> None:
    """Run the command line."""
    try:
        app()
    except UnderstudyError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; the same command with --resume goes on from here", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        # What no layer below turned into a clearer line: a full disk, a folder without permission.
        print(f"error: {error.filename or 'files'}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        sys.exit(2)
