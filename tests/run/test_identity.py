"""The identity of a run: what changes it, and what does not."""

from __future__ import annotations

import copy
import functools

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from divrec.errors import ConfigError, RecordError
from divrec.run.door import CONF, resolved
from divrec.run.identity import identity, recorded, refuse_another

DECIDES = [
    "beta=0.5",
    "beta_scale=raw",
    "seed=1",
    "k=5",
    "exclude_seen=false",
    "task=bce",
    "diversity=gini",
    "diversity=[gini,simpson]",
    "relaxation=midpoint",
    "relaxation.width=0.2",
    "schedule=finetune",
    "schedule.steps=77",
    "schedule.patience=9",
    "optimizer.weight_decay=0.5",
    "model.dim=32",
    "model=popular",
    "user=mean",
    "user.dropout=0.1",
    "user.time_gaps=true",
    "user.from_end=true",
    "user.gated=true",
    "compare_seen=true",
    "tuning=full",
    "data.history_length=7",
    "data.batch_size=64",
    "data.positions=700",
    "data.windows=last",
    "data.half_life_days=30",
    "encoder.max_tokens=16",
    "monitor=validation/recall@10",
    "trainer.gradient_clip_val=1",
    "trainer.precision=bf16-mixed",
    "optimizer=sgd",
    "optimizer.plm_learning_rate=1e-5",
    "compile=true",
]
DECIDES_NOTHING = [
    "paths.outputs=elsewhere",
    "paths.embeddings=elsewhere",
    "data.root=elsewhere",
    "data.num_workers=2",
    "task.chunk=4096",
    "logger=none",
    "logger=[csv,tensorboard]",
    "logger.wandb.project=other",
    "rerank=mmr",
    "name=other",
    "group=other",
    "kind=trained",
    "encoder=pretrained encoder.model=/somewhere/else encoder.revision=main",
    "trainer.accelerator=cpu",
    "encoder.runtime.device=cpu",
    "trainer.devices=2",
    "trainer.num_nodes=2",
    "trainer=ddp",
    "threads=4",
    "report.language=zh",
    "checkpoint_minutes=5",
    "ranking_chunk=7",
    "trainer.log_every_n_steps=1",
    "hydra.run.dir=elsewhere",
]


@pytest.fixture(scope="module")
def identity_of(tmp_path_factory):
    """Identity of the default run with these overrides; the language model's name is held fixed."""
    with initialize_config_dir(CONF, version_base="1.3"):
        place = f"hydra.runtime.output_dir={tmp_path_factory.mktemp('run')}"
        HydraConfig.instance().set_config(compose("train", overrides=[place], return_hydra_config=True))

        @functools.cache
        def of(*overrides, data="f", encoder="minilm", base=None):
            content = resolved(compose("train", overrides=list(overrides)))
            # `encoder=minilm` and `encoder=pretrained` differ in `revision`, which says which weights a hub id means
            content["encoder"].setdefault("revision", "main")
            return identity(content, data, encoder, base)

        yield of
    HydraConfig.instance().cfg = None


def test_the_same_content_has_the_same_identity():
    content = {"beta": 1, "task": {"weight": 1}}
    assert identity(content, "f", "e", None) == identity(dict(reversed(content.items())), "f", "e", None)


@pytest.mark.parametrize("override", DECIDES)
def test_what_decides_numbers_changes_it(override, identity_of):
    assert identity_of(override) != identity_of()


@pytest.mark.parametrize("override", DECIDES_NOTHING)
def test_what_decides_none_does_not(override, identity_of):
    assert identity_of(*override.split(" ")) == identity_of()


@pytest.mark.parametrize(("devices", "is_another"), [("1", False), ("[3]", False), ("2", True), ("[0,1]", True)])
def test_processes_count_where_each_chooses_the_texts_that_carry_gradient(devices, is_another, identity_of):
    alone, several = identity_of("tuning=lora"), identity_of("tuning=lora", f"trainer.devices={devices}")
    assert (alone != several) == is_another
    without_limit = ("tuning=lora", "tuning.table.live_texts=null")
    assert identity_of(*without_limit) == identity_of(*without_limit, f"trainer.devices={devices}")


def test_it_changes_with_the_data_the_language_model_and_the_base(identity_of):
    others = [identity_of(data="g"), identity_of(encoder="bert"), identity_of(base="b"), identity_of(base="c")]
    variants = [identity_of(), *others]
    assert len(set(variants)) == len(variants)


def test_it_leaves_the_config_alone(identity_of):
    content = {"beta": 1, "paths": {"outputs": "a"}, "data": {"root": "b"}}
    before = copy.deepcopy(content)
    identity(content, "f", "e", None)
    assert content == before


def test_an_empty_folder_holds_no_run(tmp_path):
    assert recorded(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"identity"'])
def test_a_broken_record_is_an_error_and_not_a_fresh_start(text, tmp_path):
    (tmp_path / "record.json").write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=r"record\.json: the record is broken"):
        recorded(tmp_path)


def test_the_refusal_names_what_differs(tmp_path):
    found = {"config": {"beta": 0, "name": "one", "task": {"weight": 1, "kind": "x"}}}
    asked = {"beta": 1, "name": "other", "task": {"weight": 2, "kind": "x"}}
    with pytest.raises(ConfigError, match=r"\(beta: 0 -> 1; task.weight: 1 -> 2\)"):
        refuse_another(found, asked, tmp_path)
    with pytest.raises(ConfigError, match="its data, language model, base or code version differ"):
        refuse_another(found, found["config"], tmp_path)
