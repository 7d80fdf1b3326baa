"""Runs whose model reads profile texts, through the real command."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file

from run.tiny import record_of

SHORT = "data.profiles.text.max_tokens=16"  # the tiny language model knows 32 places


@pytest.mark.parametrize("user", ["profile", "attention_profile"])
def test_a_user_encoder_that_reads_profiles_trains_and_is_recorded(user, tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", f"user={user}", SHORT)
    assert answer.code == 0, answer.text
    record = record_of(tmp_path / "run")
    assert record["config"]["data"]["profiles"]["cuts"] == 8
    assert record["metrics"]["test"]["ndcg@10"] > 0
    assert not [name for name in load_file(tmp_path / "run" / "model" / "model.safetensors") if "profiles" in name]


def test_profiles_that_nobody_reads_are_a_mistake(tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", "user=profile", "user._target_=divrec.models.MeanUser", SHORT)
    assert answer.code == 1
    assert "ConfigError" in answer.text


def test_a_reader_without_profiles_says_what_it_lacks(tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", "user=profile", "data.profiles=null")
    assert answer.code == 1
    assert "data.profiles: needs profile texts" in answer.text
