"""What is refused of devices, strategies and precisions, before anything is read."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from divrec.errors import ConfigError
from divrec.run.door import CONF
from divrec.run.hardware import check_hardware, training_device, warn_of_own_choices


def check(*overrides, in_multirun=False):
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", overrides=["trainer.accelerator=cpu", *overrides])
    OmegaConf.resolve(config.trainer)
    check_hardware(config, in_multirun)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("trainer=ddp",),
        ("trainer.devices=2",),
        ("trainer.precision=bf16-mixed",),
        ("trainer.gradient_clip_val=1", "trainer.accumulate_grad_batches=4"),
        ("compile=true",),
    ],
)
def test_what_works_passes(overrides):
    check(*overrides)


@pytest.mark.parametrize("devices", ["1", "'1'", "[0]"])
def test_one_device_passes_in_a_multirun(devices):
    check(f"trainer.devices={devices}", in_multirun=True)


@pytest.mark.parametrize("overrides", [("trainer=ddp",), ("trainer.devices=auto",), ("trainer.devices=[0,1]",)])
def test_several_devices_in_a_multirun_are_refused_with_what_to_do(overrides):
    with pytest.raises(ConfigError, match=r"trainer\.devices: .*hydra/launcher=processes"):
        check(*overrides, in_multirun=True)


@pytest.mark.parametrize("trainer", ["default", "ddp"])
def test_several_nodes_in_a_multirun_are_refused_with_what_to_do(trainer):
    nodes = (f"trainer={trainer}", "trainer.devices=1", "trainer.num_nodes=2")
    check(*nodes)
    with pytest.raises(ConfigError, match=r"trainer\.num_nodes: .*one node; got 2.*srun python -m divrec\.run\.train"):
        check(*nodes, in_multirun=True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.num_nodes=0", r"trainer\.num_nodes: must be a whole number of at least 1"),
        ("trainer.precision=16-mixed", r"trainer\.precision: half floats need a GPU.*bf16-mixed"),
        ("trainer.precision=bf16-true", r"trainer\.precision: no such precision"),
        ("trainer.precision=nonsense", r"trainer\.precision: no such precision"),
        ("trainer.accumulate_grad_batches=0", r"trainer\.accumulate_grad_batches"),
        ("trainer.accumulate_grad_batches=1.5", r"trainer\.accumulate_grad_batches"),
        ("trainer.gradient_clip_val=0", r"trainer\.gradient_clip_val"),
        ("trainer.gradient_clip_val=-1", r"trainer\.gradient_clip_val"),
        ("trainer.strategy=fsdp", r"trainer\.strategy: .*pieces.*trainer=fsdp"),
        ("trainer.strategy=deepspeed", r"trainer\.strategy: .*pieces.*trainer=fsdp"),
        ("trainer=fsdp", r"trainer=fsdp: .*several GPUs.*trainer=default, trainer=ddp.*host with GPUs"),
        ("compile=maybe", r"compile: must be true or false"),
    ],
)
def test_what_makes_no_sense_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        check(override)


@pytest.fixture
def gpus(monkeypatch):
    """`gpus(n)`: the host seems to have so many."""

    def have(count: int) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: count)

    return have


GPU = ("trainer=fsdp", "trainer.accelerator=gpu")


@pytest.mark.parametrize("overrides", [(), ("trainer.devices=auto",), ("trainer.devices=[0,1]",), ("optimizer=sgd",)])
def test_on_a_host_with_gpus_a_model_may_lie_in_pieces(overrides, gpus):
    gpus(2)
    check(*GPU, "tuning=full", "trainer.precision=bf16-mixed", *overrides)


def test_one_device_a_node_is_not_alone(gpus):
    gpus(1)
    check(*GPU, "trainer.devices=1", "trainer.num_nodes=2")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.accelerator=cpu", r"trainer=fsdp: .*several GPUs"),
        ("trainer.devices=1", r"trainer\.devices: one device.*trainer=default"),
        ("trainer.devices=[3]", r"trainer\.devices: one device.*trainer=default"),
        ("trainer.precision=16-mixed", r"trainer\.precision: .*bf16-mixed"),
        ("optimizer=adafactor", r"optimizer: .*whole matrices.*Adafactor.*optimizer=adamw"),
        ("model=cross_encoder", r"model: .*in step.*trainer=ddp"),
        ("compile=true", r"compile: .*compile=false"),
    ],
)
def test_what_cannot_lie_in_pieces_is_refused(override, message, gpus):
    gpus(2)
    with pytest.raises(ConfigError, match=message):
        check(*GPU, override)


def test_all_of_one_gpu_is_one_device(gpus):
    gpus(1)
    with pytest.raises(ConfigError, match=r"trainer\.devices: one device.*trainer=default"):
        check(*GPU, "trainer.devices=auto")


def test_in_a_multirun_pieces_are_refused_as_other_runs_on_several_devices_are(gpus):
    gpus(2)
    with pytest.raises(ConfigError, match=r"trainer\.devices: .*hydra/launcher=processes"):
        check(*GPU, in_multirun=True)


def composed(*overrides):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.mark.parametrize(
    ("overrides", "count", "place", "device"),
    [
        (("trainer.accelerator=auto",), 0, None, "cpu"),
        (("trainer.accelerator=cpu",), 2, None, "cpu"),
        (("trainer.accelerator=auto",), 2, None, "cuda:0"),
        (("trainer=ddp", "trainer.accelerator=gpu"), 2, "1", "cuda:1"),
        (("trainer.devices=[3]",), 4, None, "cuda:3"),
        (("trainer.devices=[2,3]",), 4, "1", "cuda:3"),
    ],
)
def test_the_device_of_a_training(overrides, count, place, device, gpus, monkeypatch):
    gpus(count)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if place is not None:
        monkeypatch.setenv("LOCAL_RANK", place)
    assert training_device(composed(*overrides).trainer) == device


@pytest.mark.parametrize(
    ("overrides", "warns"),
    [
        (("tuning=lora",), False),
        (("trainer=ddp",), False),
        (("tuning=lora", "trainer=ddp"), True),
        (("tuning=lora", "trainer.devices=[0,1]"), True),
        (("tuning=lora", "trainer.devices=auto"), True),
        (("tuning=lora", "trainer.num_nodes=2"), True),
        (("tuning=lora", "trainer=ddp", "tuning.table.live_texts=null"), False),
    ],
)
def test_processes_that_choose_texts_of_their_own_are_said(overrides, warns, caplog):
    warn_of_own_choices(composed(*overrides))
    assert ("tuning.table.live_texts=128" in caplog.text) == warns
