"""A finished run keeps its ranking: the next re-rankers need no model, and get what ranking anew would give."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from divrec.run import finished
from divrec.run.evaluate import main as evaluate
from run.command import command
from run.tiny import record_of, same_files, without_times


@pytest.fixture(scope="module")
def trained(tiny_shop, tmp_path_factory):
    """A finished run, from which each test takes a copy."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    assert tiny_shop.train(folder).code == 0
    return folder


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def built(monkeypatch):
    """Counts the models that are built."""
    models, genuine = [], finished.complete
    monkeypatch.setattr(finished, "complete", lambda *given: models.append(given) or genuine(*given))
    return models


def add(folder, name, *overrides):
    answer = command(evaluate, f"run={folder}", f"rerank={name}", f"rerank.{name}.diversity=[0.5]", *overrides)
    assert answer.code == 0, answer.text
    return folder / "points" / f"{name}-0.5"


def files(folder):
    return sorted(path.name for path in (folder / "ranking").iterdir())


def shifted_weights(folder):
    """The same model, otherwise trained."""
    file = folder / "model" / "model.safetensors"
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: value + torch.randn(value.shape, generator=generator) if value.is_floating_point() else value
        for name, value in load_file(file).items()
    }
    save_file(weights, file)


def test_the_second_command_builds_no_model_and_delivers_the_same(run, built):
    add(run, "mmr")
    assert len(built) == 1
    assert [name.split("-")[:2] for name in files(run)] == [["test", "top100"], ["validation", "top100"]]
    again = add(run, "calibrated")
    assert len(built) == 1
    kept_record = record_of(again)
    shutil.rmtree(again.parent)
    shutil.move(run / "ranking", run / "elsewhere")
    for name in ("mmr", "calibrated"):
        anew = add(run, name, "keep_ranking=false")
    assert len(built) == 3
    assert not (run / "ranking").exists()
    assert without_times(record_of(anew)) == without_times(kept_record)


@pytest.mark.parametrize("name", ["mmr", "exposure"])
def test_kept_or_anew_the_lists_and_values_are_the_same(run, name, tmp_path):
    shutil.copytree(run, tmp_path / "anew")
    add(run, "dpp")
    assert same_files(add(run, name), add(tmp_path / "anew", name, "keep_ranking=false"))


def test_training_keeps_none(trained):
    assert not (trained / "ranking").exists()


def test_other_weights_are_ranked_anew(run, built, tmp_path):
    add(run, "mmr")
    before = files(run)
    shifted_weights(run)
    shutil.copytree(run, tmp_path / "anew")
    point = add(run, "calibrated")
    assert len(built) == 2
    assert len(files(run)) == 2
    assert not set(files(run)) & set(before)
    assert same_files(point, add(tmp_path / "anew", "calibrated", "keep_ranking=false"))


def test_a_longer_ranking_is_ranked_anew(run, built, monkeypatch):
    add(run, "mmr")
    monkeypatch.setattr("divrec.run.assembly._POOL", 101)
    add(run, "calibrated")
    assert len(built) == 2
    assert [name.split("-")[1] for name in files(run)] == ["top101", "top101"]


def test_a_truncated_ranking_is_ranked_anew(run, built, tmp_path):
    add(run, "mmr")
    shutil.copytree(run, tmp_path / "whole")
    whole = {name: (run / "ranking" / name).read_bytes() for name in files(run)}
    for name, content in whole.items():
        (run / "ranking" / name).write_bytes(content[:-5])
    assert same_files(add(run, "calibrated"), add(tmp_path / "whole", "calibrated"))
    assert len(built) == 2
    assert {name: (run / "ranking" / name).read_bytes() for name in files(run)} == whole, "and it is whole again"


def test_other_texts_behind_the_same_name_are_ranked_anew(run, built, monkeypatch):
    add(run, "mmr")
    genuine = finished.lay_ground

    def other_vectors(*given):
        ground = genuine(*given)
        ground.catalogue.vectors_ND[0] *= -1
        return ground

    monkeypatch.setattr(finished, "lay_ground", other_vectors)
    add(run, "calibrated")
    assert len(built) == 2


def test_a_baseline_is_not_fitted_again(tiny_shop, tmp_path, built):
    folder = tmp_path / "ease"
    tiny_shop.train(folder, "model=ease")
    add(folder, "mmr")
    add(folder, "calibrated")
    assert len(built) == 1


def test_missing_weights_are_still_an_error(run):
    add(run, "mmr")
    shutil.rmtree(run / "model")
    answer = command(evaluate, f"run={run}", "rerank=dpp")
    assert answer.code == 1
    assert "no weights here" in answer.text


def test_the_weights_of_a_first_stage_count_too(trained, run):
    second = {"model": {"first_stage": str(run)}}
    before = finished.weights_hash(trained, second)
    assert before != finished.weights_hash(trained, {"model": {}})
    shifted_weights(run)
    assert finished.weights_hash(trained, second) != before


def test_a_pool_beyond_the_kept_ranking_is_ranked_anew_and_all_of_it_can_be_chosen(run, built, monkeypatch, tmp_path):
    monkeypatch.setattr("divrec.run.assembly._POOL", 20)  # the shop has fewer items than a hundred
    assert command(evaluate, f"run={run}", "rerank.mmr.pool=20", "rerank.mmr.diversity=[0.5]").code == 0
    assert [name.split("-")[1] for name in files(run)] == ["top20", "top20"]
    shutil.copytree(run, tmp_path / "anew")
    answer = command(evaluate, f"run={run}", "rerank=mmr", "rerank.mmr.pool=40", "rerank.mmr.diversity=[0.5]")
    assert "too few for 40: ranked anew" in answer.text
    assert len(built) == 2
    assert [name.split("-")[1] for name in files(run)] == ["top40", "top40"]
    wide = run / "points" / "mmr_pool40-0.5"
    assert not same_files(wide, run / "points" / "mmr_pool20-0.5"), "items beyond the first twenty were chosen"
    answer = command(evaluate, f"run={run}", "rerank=ssd", "rerank.ssd.pool=20", "rerank.ssd.diversity=[0.5]")
    assert answer.code == 0
    assert len(built) == 2, "a longer ranking serves a smaller pool"
    command(evaluate, f"run={tmp_path / 'anew'}", "rerank=ssd", "rerank.ssd.pool=20", "rerank.ssd.diversity=[0.5]")
    assert same_files(run / "points" / "ssd_pool20-0.5", tmp_path / "anew" / "points" / "ssd_pool20-0.5")
