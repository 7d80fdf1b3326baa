"""Reading a sweep: what is broken is named and left out, never a crash and never silent."""

import json
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from divrec.analysis import read_record, read_slates, read_sweep, read_users
from divrec.errors import RecordError
from hydra_plugins.divrec_plugins._runner import expected_runs

Edit = Callable[[Path, dict[str, object]], None]


def test_reads_what_was_written(written_sweep: Path) -> None:
    record = read_record(written_sweep / "gini-0.3")
    assert record.name == "gini-0.3"
    assert record.objective["beta"] == 0.3
    users, slates = read_users(written_sweep / "gini-0.3"), read_slates(written_sweep / "gini-0.3", "test")
    assert len(users) == 600
    assert users.loc[users["split"] == "test", "ndcg@10"].mean() == pytest.approx(record.metrics["test"]["ndcg@10"])
    assert set(slates["split"]) == {"test"}
    assert len(slates) == 3000


def test_a_record_of_an_earlier_version_is_read(sweep_folder: Path, edit_record: Edit) -> None:
    content = json.loads((sweep_folder / "base" / "record.json").read_text(encoding="utf-8"))
    for key in ("undefined", "empty_histories"):
        content.pop(key, None)
    (sweep_folder / "base" / "record.json").write_text(json.dumps(content), encoding="utf-8")
    record = read_record(sweep_folder / "base")
    assert (record.undefined, record.empty_histories) == ({}, {})
    edit_record(sweep_folder / "base", {"undefined": {"test": {"ndcg@10": 3}}, "empty_histories": {"test": 2}})
    record = read_record(sweep_folder / "base")
    assert (record.undefined, record.empty_histories) == ({"test": {"ndcg@10": 3}}, {"test": 2})


def test_null_becomes_nan(sweep_folder: Path, edit_record: Edit) -> None:
    edit_record(sweep_folder / "base", {"metrics": {"validation": {"auc": None}, "test": {"auc": 1}}})
    record = read_record(sweep_folder / "base")
    assert math.isnan(record.metrics["validation"]["auc"])
    assert record.metrics["test"]["auc"] == 1.0


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"schema": 99}, "another schema"),
        ({"surprise": 1}, "surprise"),
        ({"kind": "guess"}, "kind"),
        ({"metrics": {"test": {}}}, "validation"),
        ({"metrics": {"validation": {}, "test": {"ndcg@10": "high"}}}, "ndcg@10"),
        ({"metrics": {"validation": {}, "test": {"ndcg@10": True}}}, "ndcg@10"),
        ({"objective": None}, "objective"),
    ],
)
def test_a_wrong_record_is_refused(
    sweep_folder: Path, edit_record: Edit, changes: dict[str, object], what: str
) -> None:
    edit_record(sweep_folder / "base", changes)
    with pytest.raises(RecordError, match=what) as caught:
        read_record(sweep_folder / "base")
    assert "record.json" in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"schema": 1}', "\x00"])
def test_a_broken_file_is_refused(sweep_folder: Path, text: str) -> None:
    (sweep_folder / "base" / "record.json").write_text(text)
    with pytest.raises(RecordError, match=r"record\.json"):
        read_record(sweep_folder / "base")


def test_missing_files_are_refused(tmp_path: Path) -> None:
    for read in (read_record, read_users, read_slates):
        with pytest.raises(RecordError, match="missing"):
            read(tmp_path)


def test_wrong_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "slates.parquet").write_text("no parquet")
    with pytest.raises(RecordError, match="Parquet"):
        read_slates(tmp_path)
    users = pd.DataFrame({"split": ["test", "test"], "user_id": ["a", "a"], "ndcg@10": [0.1, 0.2]})
    users.to_parquet(tmp_path / "users.parquet")
    with pytest.raises(RecordError, match="twice"):
        read_users(tmp_path)
    users.assign(user_id=["a", "b"], auc=["x", "y"]).to_parquet(tmp_path / "users.parquet")
    with pytest.raises(RecordError, match="auc"):
        read_users(tmp_path)
    users.drop(columns="split").to_parquet(tmp_path / "users.parquet")
    with pytest.raises(RecordError, match="split"):
        read_users(tmp_path)


def test_a_sweep_comes_in_its_expected_order_with_derived_points(written_sweep: Path) -> None:
    sweep = read_sweep(written_sweep)
    names = [record.name for record, _ in sweep.points]
    assert len(names) == 24
    assert names[:3] == ["base", "control", "control/mmr-0.1"]
    assert (sweep.missing, sweep.broken) == ((), ())


def test_missing_and_broken_points_are_named(sweep_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (sweep_folder / "gini-1" / "record.json").unlink()
    (sweep_folder / "simpson-1" / "record.json").write_text("{")
    (sweep_folder / "control" / "points" / "mmr-0.1" / "record.json").write_text("[]")
    with caplog.at_level(logging.WARNING):
        sweep = read_sweep(sweep_folder)
    assert sweep.missing == ("gini-1",)
    assert len(sweep.broken) == 2
    assert len(sweep.points) == 21
    assert "gini-1" in caplog.text
    assert "simpson-1" in caplog.text


def test_a_name_counts_once(sweep_folder: Path) -> None:
    shutil.copytree(sweep_folder / "gini-1", sweep_folder / "gini-1-copy")
    sweep = read_sweep(sweep_folder)
    assert len(sweep.points) == 24
    assert "another record has this name" in sweep.broken[0]


def test_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such folder"):
        read_sweep(tmp_path / "nowhere")
    with pytest.raises(RecordError, match="no sweep here"):
        read_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text(json.dumps({"name": "x", "expected": ["control"]}))
    with pytest.raises(RecordError, match="description"):
        read_sweep(tmp_path)


@pytest.mark.parametrize("content", ["{nope", "[]", '{"name": "x"}', '{"name": "x", "expected": [1]}'])
def test_a_broken_description_of_a_sweep_has_one_advice(content: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(RecordError, match=r"sweep\.json: .*Delete the file, and start the sweep again: finished runs"):
        read_sweep(tmp_path)
    with pytest.raises(RecordError, match=r"sweep\.json: .*Delete the file, and start the sweep again: finished runs"):
        expected_runs(tmp_path)
