"""Which runs can be mixed, which places lie between them, and what a point is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from divrec.errors import ConfigError, RecordError
from divrec.run.siblings import Siblings, places


def write_run(folder: Path, kind: str = "trained", start: str | None = "base", **config: object) -> Path:
    """A record as a training leaves it, cut down to what mixing looks at."""
    content = {"init_from": None if start is None else str(folder.parent / start), "k": 10, "user": {"dim": 64}}
    record = {
        "identity": f"id-{folder.name}",
        "kind": kind,
        "name": folder.name,
        "config": content | config,
        "seed": 0,
        "data": {"fingerprint": "f"},
        "model": {"encoder": "e"},
        "objective": {"diversity": {}},
        "metrics": {},
        "cost": {},
        "code": {},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@pytest.fixture
def sweep(tmp_path):
    write_run(tmp_path / "base", "base", None)
    write_run(tmp_path / "control", "control")
    for name in ("gini-1", "simpson-1", "control-seed1", "gini-1-seed1"):
        write_run(tmp_path / name, "control" if name.startswith("control") else "trained")
    return tmp_path


def siblings(sweep, base, *toward):
    return Siblings.read(str(sweep / base), [str(sweep / name) for name in toward])


@pytest.mark.parametrize(
    ("amounts", "dials", "expected"),
    [
        ([0.2, 0.6], 1, [(0.2,), (0.6,)]),
        ([0, 0.5, 1, 1.4, -0.2, 0.5], 1, [(0.5,), (1.4,), (-0.2,)]),
        ([0, 0.5, 1], 2, [(0, 0.5), (0.5, 0), (0.5, 0.5), (0.5, 1), (1, 0.5), (1, 1)]),
        ([[0.6, 0.2], [0.6, 0.4], [1, 0]], 2, [(0.6, 0.2), (0.6, 0.4)]),
    ],
)
def test_places_leave_the_runs_themselves_out(amounts, dials, expected):
    assert places(amounts, dials) == expected


@pytest.mark.parametrize(
    ("amounts", "dials"),
    [([], 1), ([0, 1], 1), (["half"], 1), ([True], 1), ([None], 1), ([[0.5]], 2), ([[0.5, 0.5], 0.5], 2), ([[]], 1)],
)
def test_places_that_make_no_sense_are_refused(amounts, dials):
    with pytest.raises(ConfigError, match="amounts"):
        places(amounts, dials)


def test_weights_sum_to_one_and_leave_out_who_has_none(sweep):
    pair = siblings(sweep, "control", "gini-1", "simpson-1")
    assert pair.weights((0.6, 0.1)) == {"control": 0.3, "gini-1": 0.6, "simpson-1": 0.1}
    assert pair.weights((0.6, 0.4)) == {"gini-1": 0.6, "simpson-1": 0.4}
    assert pair.weights((0, 1.4)) == {"control": -0.4, "simpson-1": 1.4}
    assert sum(pair.weights((0.7, 0.9)).values()) == pytest.approx(1)


def test_a_place_has_one_name_and_identity_however_it_is_asked_for(sweep):
    pair, turned = siblings(sweep, "control", "gini-1", "simpson-1"), siblings(sweep, "control", "simpson-1", "gini-1")
    alone = siblings(sweep, "control", "simpson-1")
    assert pair.point_name((0.6, 0.2)) == turned.point_name((0.2, 0.6)) == "interpolated-control-a0.6+simpson-1-a0.2"
    assert pair.identity((0.6, 0.2)) == turned.identity((0.2, 0.6))
    assert pair.turned((0.6, 0.2))[0][0].record.name == turned.turned((0.2, 0.6))[0][0].record.name == "gini-1"
    assert pair.point_name((0, 0.2)) == alone.point_name((0.2,)) == "interpolated-control-a0.2"
    assert pair.identity((0, 0.2)) == alone.identity((0.2,))
    different = {pair.identity(each) for each in ((0.6, 0.2), (0.2, 0.6), (0.6, 0), (0, 0.6), (0.6, 0.3))}
    assert len(different) == 5
    other_base = siblings(sweep, "base", "simpson-1")
    assert other_base.point_name((0.2,)) == "interpolated-base-a0.2"
    assert other_base.identity((0.2,)) != alone.identity((0.2,))


def test_seeds_share_the_names_of_their_points(sweep):
    one, other = siblings(sweep, "control", "gini-1"), siblings(sweep, "control-seed1", "gini-1-seed1")
    assert one.point_name((0.6,)) == other.point_name((0.6,))


def test_a_sweep_that_was_moved_is_still_a_family(sweep, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("base", "control", "gini-1"):
        (sweep / name).rename(moved / name)
    assert siblings(moved, "control", "gini-1").base.start == "id-base"
    assert siblings(moved, "base", "gini-1")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"start": "gini-1"}, "same weights"),
        ({"start": "gone"}, "same weights"),
        ({"start": None}, "same weights"),
        ({"kind": "baseline"}, "no weights to mix"),
        ({"user": {"dim": 32}}, r"user\.dim: 64 -> 32"),
        ({"k": 5}, "k: 10 -> 5"),
    ],
)
def test_strangers_are_refused(run, words, sweep):
    write_run(sweep / "stranger", **run)
    with pytest.raises(ConfigError, match=words):
        siblings(sweep, "control", "gini-1", "stranger")


def test_what_decides_no_shape_may_differ(sweep):
    write_run(sweep / "other", seed=5, beta=0.3, task={"_target_": "x"}, schedule={"steps": 9})
    assert len(siblings(sweep, "control", "other").runs) == 2


def test_a_family_needs_members(sweep):
    with pytest.raises(ConfigError, match="at least one"):
        siblings(sweep, "control")
    with pytest.raises(ConfigError, match="named once"):
        siblings(sweep, "control", "gini-1", "gini-1")
    with pytest.raises(RecordError, match="toward: holds no finished run"):
        siblings(sweep, "control", "gini-7")
    with pytest.raises(RecordError, match="base: holds no finished run"):
        siblings(sweep, "nowhere", "gini-1")
