"""How a sweep is followed: counts, time left, failures with their last lines, a table where there is a terminal."""

from __future__ import annotations

import io
import logging

import pytest
from hydra.errors import CompactHydraException
from rich.console import Console

from hydra_plugins.divrec_plugins import _progress
from hydra_plugins.divrec_plugins._pool import Outcome
from hydra_plugins.divrec_plugins._progress import Progress
from hydra_plugins.divrec_plugins._worker import CONSOLE_FILE, tail


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(_progress, "time", clock)
    return clock


@pytest.fixture
def progress(tmp_path, clock, monkeypatch):
    followed = Progress(tmp_path, Console(file=io.StringIO()))
    monkeypatch.setattr(followed._best, "read", lambda folder: None)
    followed.expect(["base", "a", "b", "c", "d"])
    return followed


def finish(progress, name, seconds=10.0):
    (progress.folder / name).mkdir()
    (progress.folder / name / "record.json").write_text("{}", encoding="utf-8")
    progress.ended(name, Outcome(None, False, seconds))


def test_counts_and_time_left(progress, clock):
    assert progress.summary() == "0 of 5 done"
    progress.started("base", "slot 0")
    assert progress.summary() == "0 of 5 done, 1 running"
    finish(progress, "base", 100.0)
    progress.new_wave()
    assert progress.seconds_left() == 0, "bases say nothing of points"
    progress.started("a", "slot 0")
    progress.started("b", "slot 1")
    clock.now = 10.0
    finish(progress, "a")
    progress.started("c", "slot 0")
    # b, c and d are left, 10 s each on two places; b has had its 10 s.
    assert progress.seconds_left() == pytest.approx(10.0)
    assert progress.summary() == "2 of 5 done, 2 running, about 10 s left"


def test_runs_of_an_earlier_start_count_as_done(progress):
    (progress.folder / "d").mkdir()
    (progress.folder / "d" / "record.json").write_text("{}", encoding="utf-8")
    assert progress.summary() == "1 of 5 done"


def test_a_run_that_is_refused_for_the_record_it_has_is_failed_and_not_done(progress):
    finish(progress, "base", 10.0)
    (progress.folder / "a").mkdir()
    (progress.folder / "a" / "record.json").write_text("{}", encoding="utf-8")
    progress.failed("a", CompactHydraException("RecordError: other settings"))
    assert progress.summary() == "1 of 5 done, 1 failed, about 30 s left"


def test_without_a_terminal_an_ended_run_is_one_line(progress, caplog):
    caplog.set_level(logging.INFO)
    with progress:
        progress.started("a", "slot 0")
        finish(progress, "a", 7200.0)
        progress.tick()
    assert [record.getMessage() for record in caplog.records] == ["a done in 2.0 h: 1 of 5 done, about 8.0 h left"]


def test_a_failure_is_told_once_with_its_last_lines(progress, caplog):
    (progress.folder / "a").mkdir()
    (progress.folder / "a" / CONSOLE_FILE).write_text("one\n\ntwo\n" + "x\n" * 4, encoding="utf-8")
    progress.started("a", "slot 0")
    progress.ended("a", Outcome(ValueError("no luck\nat all"), True, 1.0))
    progress.failed("a", ValueError("no luck"))
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("a failed: ValueError: no luck\nat all\n    | two\n")
    assert progress.failures == {"a": "no luck"}
    assert progress.summary() == "0 of 5 done, 1 failed"


def test_a_users_mistake_says_all_there_is_to_say(progress, caplog):
    (progress.folder / "a").mkdir()
    (progress.folder / "a" / CONSOLE_FILE).write_text("a line\n", encoding="utf-8")
    progress.failed("a", CompactHydraException("ConfigError: beta: must be a number"))
    assert caplog.records[0].getMessage() == "a failed: ConfigError: beta: must be a number"


def test_a_terminal_shows_running_and_failed_runs_with_what_they_say(tmp_path, clock, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    screen = io.StringIO()
    followed = Progress(tmp_path, Console(file=screen, force_terminal=True, width=120))
    monkeypatch.setattr(followed._best, "read", lambda folder: None)
    followed.expect(["a", "b", "c"])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / CONSOLE_FILE).write_text("step 50: loss 2.1\n", encoding="utf-8")
    with followed:
        followed.started("a", "device 3")
        followed.failed("b", RuntimeError("out of luck"))
        finish(followed, "c")
        clock.now = 42.0
        followed.tick()
        shown = screen.getvalue()
    for part in ("device 3", "42 s", "step 50: loss 2.1", "out of luck", "1 of 3 done, 1 running, 1 failed"):
        assert part in shown
    assert "done in" not in caplog.text, "the table says it"


def test_the_last_lines_of_a_file(tmp_path):
    file = tmp_path / "log"
    assert tail(file) == []
    file.write_bytes(b"\xff broken\n" + b"line\n" * 5000 + b"last  \n\n")
    assert tail(file, 2) == ["line", "last"]
    file.write_text("only", encoding="utf-8")
    assert tail(file) == ["only"]
