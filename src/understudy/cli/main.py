"""The ``understudy`` command. Expected failures are one line on standard error and the exit code of their class."""

from __future__ import annotations

import re
import sys

import typer

from understudy.cli import ask, audit, demo, doctor, eval, grpo, index, lab, push, score, sft, synth, tools, validate
from understudy.errors import UnderstudyError

INTERRUPTED = 130

app = typer.Typer(
    name="understudy",
    help="Train tool-using language-model agents on simulated tools.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("doctor")(doctor.command)
app.command("demo")(demo.command)
app.command("synth")(synth.command)
app.command("audit")(audit.command)
app.add_typer(tools.app, name="tools")
app.command("push")(push.command)
app.command("validate")(validate.command)
app.command("sft")(sft.command)
app.command("grpo")(grpo.command)
app.command("ask")(ask.command)
app.command("score")(score.command)
app.command("index")(index.command)
app.add_typer(eval.app, name="eval")
app.add_typer(lab.app, name="lab")


def main() -> None:
    """Run the command line, and exit: 0 done, 2 bad input, 3 a named threshold exceeded, 130 interrupted."""
    sys.exit(_run())


def _run() -> int:
    try:
        code: int = app(standalone_mode=False) or 0
    except UnderstudyError as error:
        return _complain(str(error), error.exit_code)
    except typer.TyperException as error:  # a wrong command, option or value
        return _complain(error.format_message(), 2)
    except OSError as error:
        # What no layer below turned into a clearer line: a full disk, a folder without permission.
        return _complain(f"{error.filename or 'files'}: {(error.strerror or str(error)).lower()}", 2)
    if code == INTERRUPTED:
        return _complain("interrupted; demo, synth, sft, grpo and eval go on where they were with --resume", code)
    return code


def _complain(message: str, code: int) -> int:
    """Print an error in one line (nothing where help was shown instead), and give its exit code."""
    line = re.sub(r"(?<![:;])\s*\n\s*", "; ", message.strip())
    if line:
        print(f"error: {' '.join(line.split())}", file=sys.stderr)
    return code
