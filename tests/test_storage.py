import errno
import json
import math
import signal
import subprocess
import sys

import pytest

from divrec.errors import RecordError
from divrec.storage import held, replacing, write_json


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError, match="halfway"), replacing(target) as temporary:  # noqa: PT012 - the block is the point
        temporary.write_text("half")
        raise RuntimeError("halfway")
    assert list(tmp_path.rglob("*")) == [target.parent]
    with replacing(target) as temporary:
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_rewrite_keeps_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as temporary:  # noqa: PT012 - the block is the point
        temporary.write_text("new")
        raise RuntimeError
    assert target.read_text() == "old"


def test_a_folder_appears_whole(tmp_path):
    with replacing(tmp_path / "set") as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("a")
        assert not (tmp_path / "set").exists()
    assert (tmp_path / "set" / "a").read_text() == "a"


def test_numbers_that_json_cannot_hold_become_null(tmp_path):
    write_json(tmp_path / "x.json", {"a": math.nan, "b": [math.inf, 1.5]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": [None, 1.5]}


BUSY = RecordError("busy", where="folder")


def test_a_lock_has_one_holder_at_a_time(tmp_path):
    lock = tmp_path / ".lock"
    with held(lock, BUSY):
        with pytest.raises(RecordError, match="busy"), held(lock, BUSY):
            raise AssertionError("unreachable")
        with held(tmp_path / "other", BUSY):
            pass
    with pytest.raises(ValueError, match="inside"), held(lock, BUSY):
        raise ValueError("inside")
    with held(lock, BUSY):
        assert lock.read_bytes() == b""


def test_a_lock_goes_with_its_process_and_not_with_what_that_has_started(tmp_path):
    lock = tmp_path / ".lock"
    holder = (
        "import pathlib, subprocess, sys\n"
        "from divrec.storage import held\n"
        "with held(pathlib.Path(sys.argv[1]), OSError()):\n"
        "    helper = subprocess.Popen(['cat'])\n"
        "    print('held', flush=True)\n"
        "    helper.wait()\n"
    )
    command = [sys.executable, "-c", holder, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RecordError, match="busy"), held(lock, BUSY):
            raise AssertionError("unreachable")
        process.send_signal(signal.SIGKILL)
        process.wait()
        with held(lock, BUSY):
            pass


def test_a_disk_without_locks_is_told_and_does_not_stop_anything(tmp_path, monkeypatch, caplog):
    def unknown(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unknown)
    with held(tmp_path / ".lock", BUSY):
        assert "cannot be locked" in caplog.text
