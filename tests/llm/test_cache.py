import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings

from strategies import json_values
from understudy.errors import InputError
from understudy.llm.cache import FILE, Cache, cache_key
from understudy.llm.protocol import ChatReply

REPLY = ChatReply({"role": "assistant", "content": "hi"}, "stop", 3, 4)


@settings(max_examples=25, deadline=None)
@given(json_values)
def test_what_is_put_is_what_is_got(tmp_path_factory, value):
    message = {"role": "assistant", "content": "x", "tool_calls": [{"function": {"arguments": value}}]}
    reply = ChatReply(message, "tool_calls", 7, 8)
    with Cache(tmp_path_factory.mktemp("cache")) as cache:
        cache.put(b"key", reply)
        assert cache.get(b"key") == reply
        assert cache.get(b"other") is None


def test_everything_that_determines_an_answer_is_in_its_key():
    asked = ("http://a/v1", b'{"model":"m"}', 1)
    others = [("http://b/v1", asked[1], 1), (asked[0], b'{"model":"n"}', 1), (*asked[:2], 2), (*asked[:2], 2**31 + 1)]
    assert len({cache_key(*one) for one in (asked, *others)}) == 5
    assert cache_key("http://a/v1/", *asked[1:]) == cache_key(*asked)


def test_two_may_use_one_cache_and_the_first_answer_stays(tmp_path):
    with Cache(tmp_path / "made") as one, Cache(tmp_path / "made") as two:
        one.put(b"key", REPLY)
        two.put(b"key", ChatReply({"content": "other"}))
        assert two.get(b"key") == one.get(b"key") == REPLY


def test_what_was_put_outlives_a_kill(tmp_path):
    program = (
        "import os, sys; from pathlib import Path\n"
        "from understudy.llm.cache import Cache; from understudy.llm.protocol import ChatReply\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "for number in range(100): cache.put(b'%d' % number, ChatReply({'content': str(number)}))\n"
        f"os.kill(os.getpid(), {signal.SIGKILL})"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)]).returncode == -signal.SIGKILL
    with Cache(tmp_path) as cache:
        assert [cache.get(b"%d" % number).content for number in range(100)] == [str(number) for number in range(100)]


def test_what_is_no_cache_is_refused_in_one_line(tmp_path):
    (tmp_path / FILE).write_bytes(b"something else entirely, and long enough to be looked at" * 100)
    with pytest.raises(InputError, match="choose another cache folder") as refused:
        Cache(tmp_path)
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError):
        Cache(tmp_path / FILE / "below a file")


def test_a_full_disk_is_an_outage(tmp_path):
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from understudy.errors import OutageError\n"
        "from understudy.llm.cache import Cache; from understudy.llm.protocol import ChatReply\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    for number in range(100): cache.put(b'%d' % number, ChatReply({'content': 'x' * 10_000}))\n"
        "except OutageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "can't keep answers there" in done.stdout
    assert done.stdout.count("\n") == 1
    with Cache(tmp_path) as cache:
        assert cache.get(b"0") is not None
