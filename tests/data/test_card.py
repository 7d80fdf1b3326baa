"""The data card, and leakage checks that find what is planted."""

import dataclasses
import json
from pathlib import Path

import pytest
from datasets import Dataset

from divrec.data import GlobalTime, LeaveOneOut, Preparation, PreparedData, Synthetic, make_card, prepare, write_card
from divrec.data.card_charts import curve, histogram, horizontal_bars, stacked_bars
from divrec.data.checks import leakage_checks


def _false(prepared: PreparedData) -> list[str]:
    return [check.question for check in leakage_checks(prepared) if check.holds is False]


def _changed(prepared: PreparedData, split: str, change) -> PreparedData:
    rows = [change(dict(row)) for row in prepared.splits[split]]
    splits = dict(prepared.splits) | {split: Dataset.from_list(rows, features=prepared.splits[split].features)}
    return dataclasses.replace(prepared, splits=splits)


def test_a_sound_dataset_passes_all_checks(shop: PreparedData) -> None:
    checks = leakage_checks(shop)
    assert [check.holds for check in checks] == [True] * 6


def test_planted_leaks_are_found(shop: PreparedData) -> None:
    late = 4_000_000_000
    future = _changed(shop, "train", lambda row: row | {"times": [*row["times"][:-1], late]})
    assert _false(future) == ["no event before the validation window is later than its start"]
    seen = _changed(shop, "test", lambda row: row | {"targets": [*row["targets"], row["items"][0]]})
    assert _false(seen) == ["test targets are new to their user"]
    backwards = _changed(shop, "validation", lambda row: row | {"times": row["times"][::-1]})
    assert _false(backwards) == ["every history is in the order of time"]
    counted = _changed(shop, "train", lambda row: row | {"items": [0] * len(row["items"])})
    assert "popularity counts training events only" in _false(counted)


def test_splits_by_user_promise_nothing_about_time(tmp_path: Path) -> None:
    prepared = prepare(
        Synthetic(users=40, items=60, days=30, categories=5),
        Preparation(core=1, event_weights={"purchase": 1.0, "view": 0, "cart": 0}),
        LeaveOneOut(),
        tmp_path,
    )
    assert [check.holds for check in leakage_checks(prepared)] == [None, None, True, True, True, True]


def test_the_card_tells_the_manifest_and_draws_it(shop: PreparedData, tmp_path: Path) -> None:
    card = make_card(shop)
    counts = dict(card.sections["Counts"])
    assert counts["users"] == f"{shop.manifest['users']:,}"
    assert set(card.sections) >= {"Counts", "Splits", "Left out", "Leakage checks", "Source"}
    assert sum(share for _, _, share in card.categories) == pytest.approx(1)
    profile = shop.manifest["profile"]
    assert sum(sum(part) for part in profile["time"]["events"].values()) == shop.manifest["events"]
    assert sum(profile["time"]["events"]["train"]) == shop.manifest["splits"]["train"]["events"]
    assert sum(profile["history_lengths"]["users"]) == shop.manifest["users"]
    assert sum(profile["kinds"].values()) == shop.manifest["events"]
    assert profile["long_tail"]["events"][0] == 0
    assert profile["long_tail"]["events"][-1] == 1
    write_card(card, tmp_path / "card.html")
    page = (tmp_path / "card.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert "http" not in page.replace("http-equiv", "")
    assert counts["users"] in page


def test_a_dataset_from_before_there_were_cards_still_has_one(shop: PreparedData, tmp_path: Path) -> None:
    manifest = {
        key: value for key, value in shop.manifest.items() if key not in ("profile", "mended", "category_source")
    }
    old = dataclasses.replace(shop, manifest=json.loads(json.dumps(manifest)))
    write_card(make_card(old), tmp_path / "card.html")
    assert (tmp_path / "card.html").read_text().count("<svg") == 1


def test_names_are_escaped_in_charts_and_page(shop: PreparedData, tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    card = dataclasses.replace(make_card(shop), title=evil, categories=[(evil, 1, 1.0)])
    write_card(card, tmp_path / "card.html")
    assert "<script>" not in (tmp_path / "card.html").read_text()


def test_charts_of_little_are_charts() -> None:
    assert "<rect" in stacked_bars({"train": [3], "test": [0]}, "a", "b")
    assert "<rect" in histogram([1, 2], [1], "title")
    assert "<polyline" in curve([0.0, 1.0], "title")
    assert "<rect" in horizontal_bars([("name", 0.0)])


def test_the_same_content_has_the_same_hash(tmp_path: Path) -> None:
    settings = Preparation(core=2, event_weights={"view": 0.2, "cart": 0.5, "purchase": 1.0})
    source = Synthetic(users=60, items=60, days=40, categories=5)
    first = prepare(source, settings, GlobalTime(8, 8), tmp_path / "a")
    second = prepare(source, settings, GlobalTime(8, 8), tmp_path / "b")
    other = prepare(source, dataclasses.replace(settings, seed=1), GlobalTime(8, 8), tmp_path / "a")
    assert first.manifest == second.manifest
    assert first.manifest["content"] != other.manifest["content"]
