"""Whatever a tracker does, the training goes on, and every run is closed with its outcome."""

from __future__ import annotations

import logging

import pytest
from pytorch_lightning.loggers import Logger

from divrec.tracking import Guarded, tracked
from run.tiny import record_of

CALLS = ["log_hyperparams", "log_metrics", "save", "finalize", "archive", "finish"]


class Witness(Logger):
    """Remembers what it was told; fails where it is told to."""

    def __init__(self, failing: str = "", error: Exception | None = None) -> None:
        super().__init__()
        self.said: list[tuple[object, ...]] = []
        self.failing, self.error = failing, error or OSError("server on fire")

    def _say(self, *what: object) -> None:
        self.said.append(what)
        if self.failing in (what[0], "all"):
            raise self.error

    name = property(lambda self: self._say("name") or "witness")
    version = property(lambda self: self._say("version") or 1)
    save_dir = property(lambda self: self._say("save_dir"))

    def log_metrics(self, metrics, step=None):
        self._say("log_metrics", metrics, step)

    def log_hyperparams(self, params):
        self._say("log_hyperparams", params)

    def save(self):
        self._say("save")

    def finalize(self, status):
        self._say("finalize", status)

    def archive(self, record, folder):
        self._say("archive", record, folder)

    def finish(self, failed):
        self._say("finish", failed)


def use(guarded):
    guarded.log_hyperparams({"beta": 1})
    for step in range(3):
        guarded.log_metrics({"loss/total": 1.0}, step)
    guarded.save()
    guarded.archive(None, None)
    guarded.finalize("success")
    guarded.finish(False)
    return guarded.name, guarded.version, guarded.save_dir


def test_a_logger_that_works_hears_everything():
    inner = Witness()
    assert use(Guarded(inner)) == ("witness", 1, None)
    assert [what[0] for what in inner.said if what[0] in CALLS] == [
        "log_hyperparams",
        *3 * ["log_metrics"],
        "save",
        "archive",
        "finalize",
        "finish",
    ]
    assert ("log_metrics", {"loss/total": 1.0}, 2) in inner.said


@pytest.mark.parametrize("failing", [*CALLS, "name", "version", "save_dir", "all"])
@pytest.mark.parametrize("error", [OSError("down"), RuntimeError("bug"), KeyError("x"), SyntaxError("?")])
def test_a_logger_that_fails_is_left_in_peace_after_one_warning(failing, error, caplog):
    inner = Witness(failing, error)
    with caplog.at_level(logging.WARNING):
        use(Guarded(inner))
    assert len(caplog.records) == 1
    assert "Witness failed" in caplog.text
    assert type(error).__name__ in caplog.text
    place = next(at for at, what in enumerate(inner.said) if what[0] == failing or failing == "all")
    assert {what[0] for what in inner.said[place + 1 :]} <= {"finish"}, "nothing but its end"
    assert ("finish", False) in inner.said


def test_ctrl_c_is_no_failure_of_the_tracker():
    with pytest.raises(KeyboardInterrupt):
        Guarded(Witness("save", KeyboardInterrupt())).save()


def test_every_logger_is_closed_with_the_outcome():
    fine, broken, interrupted = Witness(), Witness("all"), Witness()
    with tracked([fine, broken]) as loggers:
        assert len(loggers) == 2
    with pytest.raises(ZeroDivisionError), tracked([interrupted]):
        _ = 1 / 0
    assert fine.said == [("finalize", "success"), ("finish", False)]
    assert broken.said == [("finalize", "success"), ("finish", False)]
    assert interrupted.said == [("finalize", "failed"), ("finish", True)]


@pytest.mark.parametrize("failing", ["log_metrics", "all"])
def test_a_training_with_a_broken_tracker_gives_the_same_numbers(failing, tiny_shop, tmp_path, monkeypatch):
    point = ("beta=1", "diversity=gini", "schedule.patience=null")
    assert tiny_shop.train(tmp_path / "quiet", *point).code == 0
    monkeypatch.setenv("DIVREC_FAILING", failing)
    answer = tiny_shop.train(
        tmp_path / "broken",
        *point,
        "+logger.witness._target_=tracking.test_guard.Witness",
        "+logger.witness.failing=${oc.env:DIVREC_FAILING}",
    )
    assert answer.code == 0, answer.text
    assert answer.text.count("Witness failed") == 1
    assert record_of(tmp_path / "broken")["metrics"] == record_of(tmp_path / "quiet")["metrics"]
