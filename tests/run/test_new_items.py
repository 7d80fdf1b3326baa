"""New items all the way: a split that keeps them out of training, and a model that knows them by their text."""

from __future__ import annotations

import re

import pandas as pd
from datasets import load_from_disk

from run.tiny import record_of

SPLIT = (
    "data.split._target_=divrec.data.ItemHoldout",
    "~data.split.validation_days",
    "~data.split.test_days",
    "+data.split.test_share=0.3",
)
MODEL = ("model=two_tower_from_text", "user=mean_recent", "spare_new=true")


def test_a_model_that_starts_as_text_delivers_what_nobody_has_touched(tiny_shop, tmp_path):
    refused = tiny_shop.train(tmp_path / "refused", *SPLIT, *MODEL)
    width = re.search(r"ConfigError: model\.dim: .*got 128\. Set it to (\d+)", refused.text)
    assert refused.code != 0
    assert width is not None, refused.text
    answer = tiny_shop.train(tmp_path / "run", *SPLIT, *MODEL, f"model.dim={width[1]}")
    assert answer.code == 0, answer.text
    data = record_of(tmp_path / "run")["data"]
    catalogue = load_from_disk(str(tiny_shop.outputs / "datasets" / f"{data['name']}-{data['fingerprint']}/catalogue"))
    new = {item for item, count in zip(catalogue["item_id"], catalogue["count"], strict=True) if count == 0}
    assert len(new) > 0.3 * data["items"]
    delivered = pd.read_parquet(tmp_path / "run" / "slates.parquet")["item_id"]
    assert delivered.isin(new).mean() > 0.1
