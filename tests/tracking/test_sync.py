"""Sending offline runs later: which ones, what with them, and what is left for the next time. Nothing leaves here."""

from __future__ import annotations

import pytest

from divrec.errors import RecordError
from divrec.run.sync import main
from divrec.tracking import weights_and_biases as wb
from divrec.tracking.facts import ArtifactSpec, Lineage
from divrec.tracking.sync import is_sent, offline_runs, send
from run.command import command


def write_run(folder, name, lineage=True):
    run = folder / name / "wandb" / f"offline-run-20260101_000000-{name}"
    run.mkdir(parents=True)
    (run / f"run-{name}.wandb").write_bytes(b":W&B")
    (run.parent / "latest-run").symlink_to(run.name)
    if lineage:
        dataset = ArtifactSpec("shop-f00", "dataset", {"users": 3}, (str(folder / "manifest.json"),), ("f00",))
        Lineage("p", name, (dataset,)).write(run)
    return run


class Server:
    """Takes what it is sent, but for the runs that it refuses."""

    def __init__(self, refused=(), refused_lineages=()):
        self.runs, self.lineages, self.refused, self.refused_lineages = [], [], refused, refused_lineages

    def take_runs(self, runs):
        for run in runs:
            name = run.name.rsplit("-", 1)[1]
            self.runs.append(name)
            if name not in self.refused:
                (run / f"run-{name}.wandb.synced").touch()

    def take_lineage(self, lineage):
        assert lineage.run in self.runs, "only of a run that is there"
        if lineage.run in self.refused_lineages:
            raise OSError("lost")
        self.lineages.append(lineage)


def test_every_run_is_sent_once_with_what_it_read(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path, name)
    write_run(tmp_path, "c", lineage=False)
    server = Server()
    sent = send(tmp_path, server.take_lineage, server.take_runs)
    assert server.runs == ["a", "b", "c"]
    assert (len(sent.runs), sent.failed, sent.before) == (3, (), 0)
    assert [(each.project, each.run) for each in server.lineages] == [("p", "a"), ("p", "b")]
    (dataset,) = server.lineages[0].inputs
    assert (dataset.type, dataset.name, dataset.aliases) == ("dataset", "shop-f00", ("f00",))
    again = send(tmp_path, server.take_lineage, server.take_runs)
    assert (len(again.runs), again.failed, again.before) == (0, (), 3)
    assert server.runs == ["a", "b", "c"]
    assert len(server.lineages) == 2


def test_what_fails_is_left_for_the_next_time(tmp_path, caplog):
    for name in ("a", "b", "c"):
        write_run(tmp_path, name)
    server = Server(refused=("a",), refused_lineages=("b",))
    sent = send(tmp_path, server.take_lineage, server.take_runs)
    assert [path.name[-1] for path in sent.failed] == ["a", "b"]
    assert [each.run for each in server.lineages] == ["c"]
    assert "lost" in caplog.text
    server.refused = server.refused_lineages = ()
    again = send(tmp_path, server.take_lineage, server.take_runs)
    assert not again.failed
    assert server.runs == ["a", "b", "c", "a"]
    assert sorted(each.run for each in server.lineages) == ["a", "b", "c"]


def test_a_broken_lineage_stops_no_other(tmp_path, caplog):
    for name in ("a", "b"):
        write_run(tmp_path, name)
    broken = offline_runs(tmp_path)[0] / "lineage.json"
    broken.write_text("{}", encoding="utf-8")
    with pytest.raises(RecordError, match="no lineage"):
        Lineage.read(broken)
    server = Server()
    assert len(send(tmp_path, server.take_lineage, server.take_runs).failed) == 1
    assert [each.run for each in server.lineages] == ["b"]
    assert "no lineage" in caplog.text


def test_the_command(tmp_path, monkeypatch):
    run, server = write_run(tmp_path, "a"), Server()
    monkeypatch.setattr("divrec.tracking.sync.upload", lambda runs: None)
    monkeypatch.setattr(wb, "has_key", lambda: False)
    answer = command(main, f"dir={tmp_path}")
    assert answer.code == 1
    assert "WANDB_API_KEY" in answer.text
    monkeypatch.setattr(wb, "has_key", lambda: True)
    answer = command(main, f"dir={tmp_path}")
    assert answer.code == 1
    assert "1 runs could not be sent" in answer.text
    assert "Traceback" not in answer.text
    assert not is_sent(run)
    monkeypatch.setattr(wb, "send_lineage", server.take_lineage)
    server.take_runs([run])
    answer = command(main, f"dir={tmp_path}")
    assert answer.code == 0
    assert "0 runs sent, 1 were there before" in answer.text
    assert len(server.lineages) == 1


def test_the_command_without_runs(tmp_path):
    assert "no offline runs" in command(main, f"dir={tmp_path}").text
    answer = command(main, "dir=/no/such/folder")
    assert answer.code == 1
    assert "no such folder" in answer.text


def test_online_the_dataset_is_used_as_an_input(tmp_path, monkeypatch):
    """What a server would be told, by a W&B that is none."""
    manifest = tmp_path / "manifest.json"
    manifest.write_text("{}", encoding="utf-8")
    used, opened = [], []

    class Run:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def use_artifact(self, artifact, aliases):
            used.append((artifact.name, artifact.type, artifact.metadata, sorted(artifact.manifest.entries), aliases))

    monkeypatch.setattr(wb.wandb, "init", lambda **given: opened.append(given) or Run())
    wb.send_lineage(Lineage("p", "a", (ArtifactSpec("shop-f00", "dataset", {"users": 3}, (str(manifest),), ("f00",)),)))
    assert {key: opened[0][key] for key in ("project", "id", "resume", "mode")} == {
        "project": "p",
        "id": "a",
        "resume": "must",
        "mode": "online",
    }
    assert used == [("shop-f00", "dataset", {"users": 3}, ["manifest.json"], ["f00"])]
