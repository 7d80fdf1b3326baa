"""Tests that fail on today's product code; each names the finding."""

import pytest

QUICK = ("hydra.sweeper.baselines=[]",)


@pytest.mark.parametrize("model", ["/no/such/folder", "no-such/hub-id", "null"])
def test_f1_a_language_model_out_of_reach(model, tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", f"encoder.model={model}")
    assert answer.code != 0
    assert "Traceback" not in answer.text
    assert "encoder.model:" in answer.text


@pytest.mark.parametrize("grid", [("diversity=gini", "beta=1"), ("diversity=gini", "beta=0.5,1")])
def test_f2_points_are_named_by_regularizer_and_beta_however_small_the_grid(grid, tiny_shop, tmp_path):
    answer = tiny_shop.sweep(tmp_path / "sweep", *QUICK, *grid)
    assert answer.code == 0, answer.text
    assert (tmp_path / "sweep" / "gini-1" / "record.json").is_file()
    assert not (tmp_path / "sweep" / "record.json").exists(), "a run in the sweep's own folder"


def test_f3_beta_zero_in_the_grid(tiny_shop, tmp_path):
    answer = tiny_shop.sweep(tmp_path / "sweep", *QUICK, "diversity=gini,simpson", "beta=0,1")
    assert "Traceback" not in answer.text
    assert answer.code == 0, answer.text[-3000:]


def test_f4_a_typo_in_the_grid_is_told_before_anything_trains(tiny_shop, tmp_path):
    answer = tiny_shop.sweep(tmp_path / "sweep", "diversity=nonsense,gini", "beta=1,2")
    assert answer.code != 0
    assert "diversity/nonsense" in answer.text
    assert "training up to" not in answer.text


def test_f5_a_models_key_does_not_stop_the_baselines(tiny_shop, tmp_path):
    answer = tiny_shop.sweep(
        tmp_path / "sweep", "model.dim=16", "diversity=gini,simpson", "beta=1,2", "hydra.sweeper.baselines=[popular]"
    )
    assert answer.code == 0, answer.text[-1500:]


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("schedule.learning_rate=fast", "schedule.learning_rate"),
        ("schedule.learning_rate=-1", "schedule.learning_rate"),
        ("user.dropout=1.5", "user"),
        ("monitor=validation/nonsense", "monitor"),
        ("model.dim=-3", "model"),
        ("trainer.accelerator=gpu", "trainer"),
        ("trainer.precision=nonsense", "trainer"),
        ("data.history_length=x", "data.history_length"),
        ("init_from=1", "init_from"),
        ("exclude_seen=maybe", "exclude_seen"),
        ("rerank=mmr rerank.mmr.diversity=[x]", "rerank.mmr"),
        ("diversity=beta_divergence beta=1 diversity.beta_divergence.order=x", "diversity.beta_divergence"),
    ],
)
def test_f6_a_wrong_value_is_one_message(override, key, tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", *override.split(" "))
    assert answer.code != 0
    assert "Traceback" not in answer.text
    assert key in "".join(
        line for line in answer.text.splitlines() if "Error: " in line and "Error executing" not in line
    )


def test_f8_a_second_start_adds_no_second_front_run(tiny_shop, tmp_path):
    from tracking.offline_runs import read_runs

    for _ in range(2):
        tiny_shop.sweep(tmp_path / "sweep", *QUICK, "diversity=gini,simpson", "beta=1,2", logger="wandb")
    assert len([run for run in read_runs(tmp_path / "sweep") if run.job_type == "front"]) == 1


def test_f9_a_regularizer_that_cannot_act_is_refused_and_not_multiplied_by_a_trillion(tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", "data.source.categories=1", "beta=1", "diversity=simpson")
    assert answer.code != 0
    assert "no gradient" in answer.text


def test_f10_a_pool_smaller_than_k_is_refused_before_the_training(tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", "rerank=mmr", "rerank.mmr.pool=3")
    assert answer.code != 0
    assert "training up to" not in answer.text
