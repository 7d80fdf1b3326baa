"""What is refused of devices, strategies and precisions, before anything is read."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from divrec.errors import ConfigError
from divrec.run.door import CONF
from divrec.run.hardware import check_hardware


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


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.precision=16-mixed", r"trainer\.precision: half floats need a GPU.*bf16-mixed"),
        ("trainer.precision=bf16-true", r"trainer\.precision: no such precision"),
        ("trainer.precision=nonsense", r"trainer\.precision: no such precision"),
        ("trainer.accumulate_grad_batches=0", r"trainer\.accumulate_grad_batches"),
        ("trainer.accumulate_grad_batches=1.5", r"trainer\.accumulate_grad_batches"),
        ("trainer.gradient_clip_val=0", r"trainer\.gradient_clip_val"),
        ("trainer.gradient_clip_val=-1", r"trainer\.gradient_clip_val"),
        ("trainer.strategy=fsdp", r"trainer\.strategy: .*pieces.*trainer=ddp"),
        ("compile=maybe", r"compile: must be true or false"),
    ],
)
def test_what_makes_no_sense_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        check(override)
