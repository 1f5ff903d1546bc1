"""The examples of the documentation run, in order, and print what the page says.

A page's blocks share a folder that holds ``recipes/`` and ``configs/``. Neighbouring ``python`` blocks make one script.
A ``text`` block after them lists lines of their output, ``…`` standing for anything. ``no-run`` marks what can't run.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 240  # on a machine that does other work; alone, a page takes a few


@dataclass
class Example:
    language: str
    code: str
    expected: list[str]


def examples(page: Path) -> list[Example]:
    found: list[Example] = []
    for language, info, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        if "no-run" in info:
            continue
        if language == "text" and found:
            found[-1].expected += [line.strip() for line in code.splitlines() if line.strip()]
        elif language == "python" and found and found[-1].language == "python":
            found[-1].code += code
        elif language in ("python", "sh"):
            found.append(Example(language, code, []))
    return found


PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if examples(page)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.timeout(SECONDS)
def test_page(page, tmp_path):
    for name in ("recipes", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "",
        "HF_HOME": str(tmp_path / "huggingface"),
        "HF_HUB_OFFLINE": "1",
    }
    port, groups = str(free_port()), []
    try:
        for number, example in enumerate(examples(page)):
            code = example.code.replace("8077", port)
            script = (
                [sys.executable, "-c", code]
                if example.language == "python"
                else ["bash", "-euo", "pipefail", "-c", code]
            )
            said = tmp_path / f"output-{number}"
            with said.open("w") as output:  # not a pipe, which a server in the background would keep open
                process = subprocess.Popen(
                    script,
                    cwd=tmp_path,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                groups.append(process.pid)
                code_returned = process.wait(SECONDS)
            output_text = said.read_text()
            assert code_returned == 0, f"{page.name}:\n{example.code}\n{output_text}"
            for line in example.expected:
                pattern = ".*".join(map(re.escape, line.split("…")))
                assert re.search(pattern, output_text), f"{page.name}: not printed: {line}\n{output_text}"
    finally:
        for group in groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


def test_few_examples_are_not_run():
    blocks = [info for page in (ROOT / "docs").rglob("*.md") for _, info, _ in BLOCK.findall(page.read_text())]
    left_out = sum("no-run" in info for info in blocks)
    assert left_out <= 9 < len(blocks) / 6, len(blocks)  # GPUs, vLLM, verl and several nodes are not here
