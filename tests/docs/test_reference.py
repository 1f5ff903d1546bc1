"""The reference is complete, and what is generated is current."""

from __future__ import annotations

import importlib.util
import re
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import BaseModel

from understudy.cli.ask import AskConfig
from understudy.cli.demo import DemoConfig
from understudy.cli.synth import SynthConfig
from understudy.errors import ThresholdError, UnderstudyError
from understudy.evaluation.compare import Comparison
from understudy.evaluation.controls import Controls
from understudy.evaluation.gap import GAP, Agreement, Gap
from understudy.evaluation.prepared import PREPARED
from understudy.evaluation.result import Record, Result
from understudy.evaluation.run import MANIFEST, RECORDS, RESULT
from understudy.evaluation.settings import EvalConfig
from understudy.report import model as report
from understudy.synthesis.audit import Reason
from understudy.synthesis.store import CONFIG, DATASET, FILES, SUMMARY
from understudy.task import Kind
from understudy.trace import Fault, Source, Status, Stop, Trace
from understudy.training.settings import GrpoConfig, SftConfig

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED = generator().documents()


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generated_files_are_current(path):
    assert path.read_text(encoding="utf-8") == GENERATED[path], "run: python docs/generate.py"


def undocumented(kind: type[BaseModel]) -> list[str]:
    missing = []
    for name, field in kind.model_fields.items():
        if not field.description:
            missing.append(f"{kind.__name__}.{name}")
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                missing += undocumented(part)
    return missing


@pytest.mark.parametrize("kind", [DemoConfig, SynthConfig, EvalConfig, SftConfig, GrpoConfig, AskConfig])
def test_every_field_of_a_configuration_has_a_docstring(kind):
    assert undocumented(kind) == []


def named(page: Path) -> set[str]:
    """Everything between backquotes."""
    return set(re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")))


def missing(names, page: Path) -> set[str]:
    return set(names) - {word for name in named(page) for word in (name, *re.findall(r"\w+", name))}


def test_files_of_a_run_are_documented():
    assert missing({*FILES, CONFIG, SUMMARY, f"{DATASET}/"}, REFERENCE / "files.md") == set()
    assert missing(set(Trace.model_fields), REFERENCE / "files.md") == set()


def test_files_of_an_evaluation_are_documented():
    kinds = (Record, Result, Controls, Gap, Agreement, Comparison)
    fields = {name for kind in kinds for name in kind.model_fields} - {"records"}
    assert missing({MANIFEST, RECORDS, RESULT, PREPARED, GAP, *fields}, REFERENCE / "files.md") == set()


def test_fields_of_the_report_are_documented():
    kinds = (report.Report, report.Em, report.EmLive, report.TraceCounts, report.Simulation, report.Behaviour)
    kinds += (report.Curve, report.Controls, report.Example, report.Attempt)
    assert missing({name for kind in kinds for name in kind.model_fields} - {"stage"}, REFERENCE / "report.md") == set()


@pytest.mark.parametrize("kind", [Kind, Status, Source, Stop, Fault, Reason])
def test_concepts_name_every_member(kind: type[StrEnum]):
    assert missing({member.value for member in kind} - {"ok"}, ROOT / "docs" / "concepts.md") == set()


def test_exit_codes_are_documented():
    text = (REFERENCE / "exit-codes.md").read_text()
    for code in (0, UnderstudyError.exit_code, ThresholdError.exit_code, 130):
        assert f"| {code} |" in text
