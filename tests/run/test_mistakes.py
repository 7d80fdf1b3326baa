"""A user's mistake leaves as one message that names the key and how to mend it, exit code not 0, no traceback."""

from __future__ import annotations

import re
import shutil

import pytest

from divrec.run.data import main as data
from divrec.run.evaluate import main as evaluate
from divrec.run.front import main as front
from divrec.run.train import main as train
from run.command import command, subprocess_command
from run.tiny import DATA

# what the user typed, and words of the answer: the key first, then what is wrong or how to mend it
TRAINING_MISTAKES = [
    (["nonsense=1"], ["nonsense"]),
    (["model.nonsense=1"], ["model.nonsense"]),
    (["+model.nonsense=1"], ["model:", "nonsense"]),
    (["diversity=nonsense"], ["diversity/nonsense", "gini", "simpson"]),
    (["task=nonsense"], ["task/nonsense", "cross_entropy"]),
    (["diversity=gini", "beta=1", "+diversity.gini.nonsense=1"], ["diversity.gini", "nonsense"]),
    (["beta=-1"], ["beta:", "at least 0", "-1"]),
    (["beta=nan"], ["beta:", "at least 0"]),
    (["beta=much"], ["beta:", "a number", "much"]),
    (["beta=0.1,1"], ["beta", "--multirun"]),
    (["beta=1"], ["beta:", "no regularizer", "diversity=gini"]),
    (["beta_scale=loud"], ["beta_scale:", "gradient or raw"]),
    (["k=0"], ["k:", "at least 1"]),
    (["k=2.5"], ["k:", "whole number"]),
    (["seed=-1"], ["seed:", "at least 0"]),
    (["threads=0"], ["threads:", "at least 1"]),
    (["diversity=gini_overlap", "diversity.gini_overlap.space=item", "beta=1"], ["space", "exclude_seen=false"]),
    (["diversity=gini", "diversity.gini.weight=-1", "beta=1"], ["weight", "at least 0"]),
    (["task=bce", "task.num_negatives=0"], ["task.num_negatives:", "a whole number of at least 1"]),
    (["rerank=mmr", "rerank.mmr.diversity=2"], ["rerank.mmr.diversity:", "[0, 1]"]),
    (["rerank=mmr", "rerank.mmr.diversity=[]"], ["rerank.mmr.diversity:", "no strength"]),
    (["rerank=mmr", "rerank.mmr.diversity=[0.5,0.5]"], ["rerank:", "asked for twice", "mmr-0.5"]),
    (["rerank=mmr", "rerank.mmr.pool=2.5"], ["rerank.mmr.pool:", "whole number"]),
    (["rerank=mmr", "rerank.mmr.pool=15", "metrics.k=[10,20]"], ["rerank.mmr.pool:", "a list of 20", "pool=20"]),
    (["metrics.k=[5,20]"], ["metrics.k:", "k = 10", "metrics.k=[5,10,20]"]),
    (["metrics.k=[10,0]"], ["metrics.k:", "at least 1"]),
    (["metrics.k=many"], ["metrics.k:", "whole number"]),
    (["ranking_chunk=0"], ["ranking_chunk:", "at least 1"]),
    (["relaxation.width=0"], ["relaxation.width:", "above 0"]),
    (["schedule.steps=0"], ["schedule.steps:", "at least 1"]),
    (["schedule.validate_every=null"], ["schedule.validate_every:", "patience"]),
    (["user.heads=7"], ["user.heads:", "divide"]),
    (["init_from=/no/such/run"], ["init_from:", "/no/such/run", "init_from=null"]),
    (["model=sasrec", "tuning=full"], ["tuning:", "reads no text", "tuning=frozen"]),
    (["model.representation=id", "tuning=lora"], ["tuning:", "reads no text", "model.representation=text"]),
    (["+experiment=cross_encoder", "tuning=lora"], ["tuning:", "by itself", "model.trained_layers"]),
    (["tuning=lora", "tuning.dropout=2"], ["tuning.dropout:", "below 1"]),
    (["tuning=top_layers", "tuning.layers=9"], ["tuning.layers:", "2 layers"]),
    (["encoder.runtime.attention=spda"], ["encoder.runtime.attention:", "spda", "eager"]),
    (["encoder.model=???"], ["encoder.model:", "encoder.model=..."]),
    (["logger=wandb", "logger.wandb.mode=loud"], ["WANDB_MODE", "loud", "offline"]),
    (["data.split.test_days=0"], ["data.split.test_days:", "at least 1"]),
    (["data.split.validation_days=3", "data.split.test_days=59"], ["data.split:", "too short", "Shorten"]),
    (["data.source.users=3"], ["data.split:", "no user", "windows"]),
    (["data.preparation.core=500"], ["data.preparation.core:", "Lower"]),
    (["+data.preparation.roles.hug=target"], ["data.preparation.roles", "hug"]),
    (["data.batch_size=0"], ["data.batch_size:", "0"]),
]


def assert_one_message(answer, words):
    assert answer.code != 0
    assert "Traceback" not in answer.text
    for word in words:
        assert word in answer.text
    assert len(re.findall(r"^\w+Error: ", answer.text, flags=re.MULTILINE)) <= 1


@pytest.mark.parametrize(("overrides", "words"), TRAINING_MISTAKES, ids=lambda each: " ".join(each)[:60])
def test_train(overrides, words, tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", *overrides)
    assert_one_message(answer, words)
    assert not (tmp_path / "run" / "record.json").exists()


@pytest.mark.parametrize(
    ("module", "overrides", "words"),
    [
        ("train", ["beta=-1"], ["beta:", "at least 0"]),
        ("train", ["beta=1"], ["beta:", "diversity=gini"]),
        ("train", ["nonsense=1"], ["nonsense"]),
        ("train", ["-m", "+sweep=smoke", "diversity=nonsense", "k=0", "nonsense=1"], ["nonsense"]),
        ("front", ["dir=/no/such/sweep"], ["dir:", "no such folder", "outputs/sweeps"]),
        ("evaluate", ["rerank=nonsense", "run=a"], ["rerank/nonsense", "mmr"]),
        ("evaluate", ["rerank=glob(zzz*)", "run=a"], ["rerank:", "no strategy matches", "zzz*", "mmr"]),
        ("data", ["data=nonsense"], ["data/nonsense", "completejourney"]),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
def test_in_a_process_of_its_own(module, overrides, words, tmp_path):
    places = [f"paths.outputs={tmp_path}"] if module == "train" else []
    assert_one_message(subprocess_command(f"divrec.run.{module}", *overrides, *places), words)


def test_the_traceback_is_there_for_who_asks(tmp_path):
    answer = subprocess_command("divrec.run.train", "beta=-1", f"paths.outputs={tmp_path}", HYDRA_FULL_ERROR="1")
    assert answer.code != 0
    assert "Traceback" in answer.text
    assert "check_dials" in answer.text


def test_wandb_mode_from_the_environment(tiny_shop, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "loud")
    assert_one_message(tiny_shop.train(tmp_path / "run", logger="wandb"), ["WANDB_MODE", "loud", "offline"])


def test_a_missing_data_package(tmp_path):
    overrides = ["+data.source.package=no_such_package", f"paths.outputs={tmp_path}"]
    words = ["data.source", "no_such_package", 'pip install "divrec[demo]"']
    assert_one_message(command(data, *overrides), words)
    assert_one_message(command(train, *overrides, f"hydra.run.dir={tmp_path}/run", "logger=none"), words)


def test_a_missing_language_model_package(tmp_path):
    places = [f"paths.outputs={tmp_path}", f"hydra.run.dir={tmp_path}/run", "logger=none"]
    answer = command(train, *DATA, "encoder.model.package=no_such_package", *places)
    assert_one_message(answer, ["encoder.model.package:", "no_such_package", "pip install", "encoder=pretrained"])


def test_a_folder_without_a_model_in_it(tiny_shop, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = tiny_shop.train(tmp_path / "run", f"encoder.model={empty}")
    assert_one_message(answer, ["encoder.model:", "config.json"])


def test_a_folder_that_holds_another_run(tiny_shop, tiny_sweep):
    answer = tiny_shop.train(tiny_sweep.folder / "base", "schedule.steps=5")
    assert_one_message(answer, ["/base:", "schedule.steps: 6 -> 5", "hydra.run.dir=FOLDER"])


def test_a_broken_record_of_the_run(tiny_shop, tmp_path):
    (tmp_path / "record.json").write_text("{nope", encoding="utf-8")
    assert_one_message(tiny_shop.train(tmp_path), ["record.json", "broken", "Delete"])


def test_weights_of_another_model(tiny_shop, tiny_sweep, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", f"init_from={tiny_sweep.folder / 'base'}", "model.dim=12")
    assert_one_message(answer, ["init_from:", "another model", "the same model"])


def test_evaluate_without_a_run(tmp_path):
    assert_one_message(command(evaluate, f"run={tmp_path}"), ["run:", "no finished run", "record.json"])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rerank=none", ["rerank:", "no strategy is asked for", "rerank=mmr"]),
        ("rerank.mmr.diversity=[]", ["rerank.mmr.diversity:", "no strength"]),
        ("rerank.mmr.diversity=[0.3,0.3]", ["rerank:", "asked for twice", "mmr-0.3"]),
        ("rerank.mmr.pool=9", ["rerank.mmr.pool:", "a list of 10", "rerank.mmr.pool=10"]),
    ],
)
def test_evaluate_with_nothing_to_do_or_twice_the_same(override, words, tiny_sweep):
    run = tiny_sweep.folder / "control"
    assert_one_message(command(evaluate, f"run={run}", override), words)
    assert not (run / "ranking").exists()


def test_a_front_of_a_folder_without_a_sweep(tmp_path):
    assert_one_message(command(front, f"dir={tmp_path}"), ["no sweep here", "holds the runs of a sweep"])


def test_a_broken_record_in_a_sweep_is_a_named_warning(tiny_sweep, tmp_path):
    folder = shutil.copytree(tiny_sweep.folder, tmp_path / "sweep", ignore=shutil.ignore_patterns("wandb", "model"))
    (folder / "gini-1" / "record.json").write_text("{nope", encoding="utf-8")
    answer = command(front, f"dir={folder}")
    assert answer.code == 0
    assert "Traceback" not in answer.text
    assert "left out" in answer.text
    assert "gini-1/record.json" in answer.text.replace("\n", "")


def test_a_front_without_a_control(tiny_sweep, tmp_path):
    folder = shutil.copytree(tiny_sweep.folder, tmp_path / "sweep", ignore=shutil.ignore_patterns("wandb", "model"))
    shutil.rmtree(folder / "control")
    answer = command(front, f"dir={folder}")
    assert answer.code != 0
    assert "Traceback" not in answer.text
    assert "no finished control" in answer.text
    assert "Run the sweep again" in answer.text


@pytest.mark.parametrize("model", ["/no/such/folder", "no-such/hub-id", "null"])
def test_a_language_model_out_of_reach(model, tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", f"encoder.model={model}")
    assert answer.code != 0
    assert "Traceback" not in answer.text
    assert "encoder.model:" in answer.text


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
        ("compare_seen=maybe", "compare_seen"),
        ("compare_seen=true exclude_seen=false", "compare_seen: changes nothing where exclude_seen=false"),
        ("compare_seen=true data.preparation.repeats=keep", "compare_seen: data.preparation.repeats=keep"),
        ("rerank=mmr rerank.mmr.diversity=[x]", "rerank.mmr"),
        ("diversity=beta_divergence beta=1 diversity.beta_divergence.order=x", "diversity.beta_divergence"),
    ],
)
def test_a_wrong_value_is_one_message(override, key, tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", *override.split(" "))
    assert answer.code != 0
    assert "Traceback" not in answer.text
    assert key in "".join(
        line for line in answer.text.splitlines() if "Error: " in line and "Error executing" not in line
    )


def test_a_regularizer_that_cannot_act_is_refused_and_not_multiplied_by_a_trillion(tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", "data.source.categories=1", "beta=1", "diversity=simpson")
    assert answer.code != 0
    assert "no gradient" in answer.text


def test_a_pool_smaller_than_k_is_refused_before_the_training(tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", "rerank=mmr", "rerank.mmr.pool=3")
    assert answer.code != 0
    assert "training up to" not in answer.text
