"""The command line in this process."""

from __future__ import annotations

import sys

import pytest

from understudy.cli import main as command


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line: exit code, standard output and error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["understudy", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call
