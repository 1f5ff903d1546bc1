"""Write what follows from the code: the reference of commands and of configuration, and ``configs/demo/default.toml``.

    python docs/generate.py

A test fails when these files are out of date.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from understudy.cli.ask import AskConfig
from understudy.cli.demo import DemoConfig
from understudy.cli.main import app
from understudy.cli.synth import SynthConfig
from understudy.evaluation.settings import EvalConfig
from understudy.training.settings import GrpoConfig, SftConfig

ROOT = Path(__file__).parents[1]
NOTE = "<!-- Written by docs/generate.py; change the code's docstrings instead. -->\n"


def documents() -> dict[Path, str]:
    """Every generated file with its content."""
    tables = {
        "`understudy demo`": DemoConfig,
        "`understudy synth`": SynthConfig,
        "`understudy eval`": EvalConfig,
        "`understudy sft`": SftConfig,
        "`understudy grpo`": GrpoConfig,
        "`understudy ask`": AskConfig,
    }
    return {
        ROOT / "docs" / "reference" / "commands.md": commands(),
        ROOT / "docs" / "reference" / "configuration.md": configuration(tables),
        ROOT / "configs" / "demo" / "default.toml": toml(DemoConfig()),
    }


def commands() -> str:
    """Every command with its arguments and options."""
    lines = [
        "# Commands",
        NOTE,
        "[Exit codes](exit-codes.md) · [what is written where](files.md) · [configuration](configuration.md)",
        "",
        "Where no default is given here, the configuration has it.",
    ]
    for title, command in _walk(typer.main.get_command(app), "understudy"):
        lines += ["", f"## `{title}`", command.help or "", "", "| option | default | meaning |", "|---|---|---|"]
        for parameter in command.params:
            name, *_ = parameter.opts
            bare = not name.startswith("-") or parameter.is_flag
            given = f"{name} {_kind(parameter)}" if not bare else name if name.startswith("-") else name.upper()
            shown = "" if bare or parameter.default is None else f"`{_plain(parameter.default)}`"
            shown = "**required**" if parameter.required else shown
            times = " May be given several times." if getattr(parameter, "multiple", False) else ""
            lines.append(f"| `{given}` | {shown} | {parameter.help}{times} |")
    return "\n".join(lines) + "\n"


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands") or command.invoke_without_command:
        yield name, command
    for key, child in getattr(command, "commands", {}).items():
        yield from _walk(child, f"{name} {key}")


def _kind(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "/".join(member.value for member in kind)
    return {Path: "PATH", int: "N", float: "X"}.get(kind, "TEXT")


def configuration(tables: dict[str, type[BaseModel]]) -> str:
    """Every field of every configuration, each nested table once."""
    lines = [
        "# Configuration",
        NOTE,
        "A command reads TOML (`--config FILE`), or the `config.json` of an earlier run. `--set key=value` changes one",
        "value, with dots for tables: `--set synthesis.limits.max_turns=6`. Unknown keys are refused. A run saves what",
        "it used in `config.json`.",
    ]
    seen: dict[type[BaseModel], str] = {}
    for title, kind in tables.items():
        lines += ["", f"## {title}", *_fields(kind, kind.__name__, seen)]
    return "\n".join(lines) + "\n"


def _fields(kind: type[BaseModel], title: str, seen: dict[type[BaseModel], str]) -> list[str]:
    lines = [_line(kind.__doc__), "", "| key | type | default | meaning |", "|---|---|---|---|"]
    nested: list[tuple[str, type[BaseModel]]] = []
    for name, field in kind.model_fields.items():
        inner = next((part for part in _parts(field.annotation) if _is_table(part)), None)
        description = _line(field.description).replace("|", "\\|")
        if inner is not None:
            known = seen.setdefault(inner, f"{title}.{name}")
            if known == f"{title}.{name}":
                nested.append((name, inner))
            description += f" See [{inner.__name__}](#{inner.__name__.lower()}).{_own_defaults(field, inner)}"
        default = "" if inner is not None and field.default is not None else f"`{_default(field)}`"
        required = "**required**" if field.is_required() else default
        lines.append(f"| `{name}` | {_type(field.annotation)} | {required} | {description} |")
    for name, inner in nested:
        lines += ["", f"### {inner.__name__}", f"The table `{name}`. {_line(inner.__doc__)}"]
        lines += _fields(inner, f"{title}.{name}", seen)[1:]
    return lines


def _own_defaults(field: FieldInfo, kind: type[BaseModel]) -> str:
    """Where a table's defaults here are not those of its kind."""
    if not isinstance(field.default, kind):
        return ""
    general = {name: inner.default for name, inner in kind.model_fields.items()}
    own = {name: value for name, value in dict(field.default).items() if value != general[name]}
    return f" Here `{', '.join(f'{name} = {_literal(value)}' for name, value in own.items())}`." if own else ""


def _line(text: str | None) -> str:
    return " ".join((text or "").replace("``", "`").split())


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _parts(annotation: Any) -> list[Any]:
    return list(typing.get_args(annotation)) or [annotation]


def _type(annotation: Any) -> str:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is typing.Annotated:
        return _type(parts[0])
    if origin is tuple:
        return f"list of {_type(parts[0])}"
    if origin is dict:
        return "table"
    if origin is not None:
        return " or ".join(_type(part) for part in parts if part is not type(None)) + " or unset"
    if _is_table(annotation):
        return "table"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    return {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path"}.get(
        annotation, str(annotation)
    )


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "" if value is PydanticUndefined else _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, BaseModel):
        return "see there"
    return _literal(value) if not isinstance(value, Path) else str(value)


def toml(config: BaseModel, prefix: str = "") -> str:
    """A configuration as TOML, with every field's docstring above it."""
    lines, tables = [], []
    if not prefix:
        lines += [
            f"# {_line(type(config).__doc__)}",
            "# Every setting with its default. Written by docs/generate.py.",
            "#   understudy demo --config configs/demo/default.toml",
        ]
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        about = _line(field.description)
        if isinstance(value, BaseModel):
            tables.append(f"\n# {about}\n[{prefix}{name}]{toml(value, f'{prefix}{name}.')}")
        elif value is None:
            lines.append(f"\n# {about}\n# {name} is not set")
        else:
            lines.append(f"\n# {about}\n{name} = {_literal(value)}")
    return "\n".join([*lines, *tables]) + ("" if prefix else "\n")


def _literal(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_literal(item)}' for key, item in value.items())}}}"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
