"""What a user gets wrong is one line on standard error and exit code 2, and nothing is written."""

from __future__ import annotations

import errno

import pytest

from understudy.errors import InputError, ThresholdError


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "Who?", "answer": "Me"}\n')
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["foo"], "No such command 'foo'"),
        (["synth"], "--questions FILE is missing"),
        (["synth", "--limt", "3"], "No such option: --limt (Possible options: --limit)"),
        (["synth", "--limit", "many"], "Invalid value for '--limit'"),
        (["synth", "--teacher", "me"], "'me' is not one of 'evidence', 'endpoint'"),
        (["synth", "--questions", "absent.jsonl"], "absent.jsonl: no such file"),
        (["synth", "--questions", "QUESTIONS", "--format", "foo"], "unknown format 'foo'; formats: auto, task"),
        (["synth", "--questions", "QUESTIONS", "--limit", "0"], "limit: Input should be greater than 0"),
        (["synth", "--questions", "QUESTIONS", "--concurrency", "-1"], "synthesis.concurrency: Input should be"),
        (["synth", "--questions", "QUESTIONS", "--teacher", "endpoint"], "needs --base-url and --model"),
        (["synth", "--questions", "QUESTIONS", "--base-url", "ftp://x", "--model", "m"], "endpoint.base_url"),
        (["synth", "--questions", "QUESTIONS", "--base-url", "http://x/v1"], "endpoint.model is missing"),
        (["synth", "--questions", "QUESTIONS", "--set", "seed=1"], "unknown key 'seed'; known keys: endpoint, facts"),
        (["synth", "--questions", "QUESTIONS", "--set", "limit"], "--set limit: expected key=value"),
        (["synth", "--config", "absent.toml"], "absent.toml: no such file"),
        (["synth", "--config", "QUESTIONS"], "questions.jsonl: not valid TOML"),
        (["synth", "--questions", "FOLDER"], "can't read (is a directory)"),
        (["synth", "--questions", "EMPTY"], "empty.jsonl: no records"),
        (["synth", "--questions", "QUESTIONS", "--out", "EMPTY"], "can't write (file exists)"),
        (["demo", "--set", "entities=3"], "entities: Input should be greater than or equal to 200"),
        (["demo", "--set", "sft.rate=1"], "unknown key 'sft.rate'; known keys: batch_size, epochs"),
        (["demo", "--seed", "x"], "Invalid value for '--seed'"),
        (["validate"], "Missing argument"),
        (["validate", "absent"], "absent: no such file"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(run, tmp_path, questions, monkeypatch, arguments, message):
    (tmp_path / "empty.jsonl").touch()
    places = {"QUESTIONS": questions, "FOLDER": tmp_path, "EMPTY": tmp_path / "empty.jsonl"}
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, out, err = run(*(places.get(argument, argument) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert message in err
    assert list((tmp_path / "here").iterdir()) == []
    assert (tmp_path / "empty.jsonl").read_bytes() == b""


@pytest.mark.parametrize("arguments", [[], ["lab"]])
def test_without_a_command_help_is_shown(run, arguments):
    code, out, err = run(*arguments)
    assert (code, err) == (2, "")
    assert "Usage: understudy" in out


def test_help_is_no_mistake(run):
    code, out, err = run("synth", "--help")
    assert (code, err) == (0, "")
    assert "--questions" in out


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.toml:\n  one\n  two"), 2, "error: a.toml: one; two\n"),
        (ThresholdError("too many"), 3, "error: too many\n"),
        (OSError(errno.ENOSPC, "No space left on device", "x/y"), 2, "error: x/y: no space left on device\n"),
        (OSError("what"), 2, "error: files: what\n"),
        (
            KeyboardInterrupt(),
            130,
            "error: interrupted; demo, synth, sft, grpo and eval go on where they were with --resume\n",
        ),
    ],
)
def test_an_expected_failure_is_one_line_with_its_code(run, monkeypatch, error, code, line):
    def fail(_):
        raise error

    monkeypatch.setattr("understudy.cli.validate.validate", fail)
    assert run("validate", "x") == (code, "", line)


def test_a_defect_of_ours_is_not_hidden(run, monkeypatch):
    def fail(_):
        raise ZeroDivisionError

    monkeypatch.setattr("understudy.cli.validate.validate", fail)
    with pytest.raises(ZeroDivisionError):
        run("validate", "x")
