import os
import resource
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import objects
from understudy.errors import InputError
from understudy.jsonl import JsonlWriter, read_json, read_jsonl, write_atomic


@given(st.lists(objects, min_size=1, max_size=5), st.data())
def test_a_log_cut_anywhere_resumes_to_its_complete_records(tmp_path_factory, records, data):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    with JsonlWriter(path) as log:
        for record in records:
            log.write(record)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    complete = whole[:cut].count(b"\n")
    assert list(read_jsonl(path)) == records[:complete]
    with JsonlWriter(path) as log:
        for record in records[complete:]:
            log.write(record)
    assert path.read_bytes() == whole


def test_damage_in_the_middle_is_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\nnonsense\n{"a": 2}\n')
    with pytest.raises(InputError, match=r"log\.jsonl:2: not valid JSON"):
        list(read_jsonl(path))
    path.write_bytes(b"[1]\n")
    with pytest.raises(InputError, match="expected a JSON object"):
        list(read_jsonl(path))
    with pytest.raises(InputError, match="no such file"):
        list(read_jsonl(tmp_path / "absent"))
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "absent")


def test_full_disk_is_one_line_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a":1}\n')
    script = (
        "import pathlib, sys\n"
        "from understudy.errors import InputError\n"
        "from understudy.jsonl import JsonlWriter, write_atomic\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "big = 'x' * 10_000\n"
        "for write in (lambda: JsonlWriter(path).write({'b': big}), lambda: write_atomic(path, big)):\n"
        "    try:\n"
        "        write()\n"
        "    except InputError as error:\n"
        "        print(error)\n"
        "sys.stdout.flush()\n"
        "import os; os._exit(0)\n"
    )

    def small_files() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    out = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, preexec_fn=small_files, check=True
    )
    lines = out.stdout.strip().splitlines()
    assert len(lines) == 2
    assert all("can't write" in line for line in lines)
    assert next(read_jsonl(path)) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.jsonl"]  # no temporary file left behind


def test_write_atomic_replaces(tmp_path):
    path = tmp_path / "sub" / "file"
    write_atomic(path, "one")
    write_atomic(path, "two")
    assert path.read_text() == "two"
    assert os.listdir(path.parent) == ["file"]
