"""The data module under a Trainer and from its configs."""

from pathlib import Path

import pytest
import pytorch_lightning as lightning
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from divrec.batch import Batch, EvaluationBatch
from divrec.data import BehaviorDataModule, GlobalTime, Preparation, Synthetic
from divrec.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf" / "data"


def _module(root: Path, **changes) -> BehaviorDataModule:
    arguments = {
        "datasets_root": root,
        "batch_size": 16,
        "evaluation_batch_size": 16,
        "history_length": 10,
        "steps_per_epoch": 3,
    }
    preparation = Preparation(
        core=2, event_weights={"view": 0.2, "cart": 0.5, "purchase": 1.0}, roles={"view": "input", "purchase": "input"}
    )
    source = Synthetic(users=80, items=60, days=40, categories=5)
    return BehaviorDataModule(source, preparation, GlobalTime(8, 8), **(arguments | changes))


class _Recorder(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained: list[Batch] = []
        self.evaluated: list[str] = []

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        self.trained.append(batch)
        return self.weight * 1.0

    def validation_step(self, batch: EvaluationBatch, index: int) -> None:
        self.evaluated += batch.user_ids

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_epochs_go_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    data, recorder = _module(tmp_path), _Recorder()
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(recorder, datamodule=data)
    steps = data.train_dataloader().dataset
    assert [batch.users_B.tolist() for batch in recorder.trained] == [steps[i].users_B.tolist() for i in range(6)]
    assert sorted(recorder.evaluated) == sorted(list(data.prepared.splits["validation"]["user_id"]) * 2)


def test_it_serves_manifest_catalogue_and_splits(tmp_path: Path) -> None:
    data = _module(tmp_path, steps_per_epoch=None)
    data.prepare_data()
    data.setup("fit")
    assert data.manifest["items"] == len(data.catalogue)
    assert len(data.train_dataloader()) == -(-data.train_dataloader().dataset.users // 16)
    assert sum(len(batch.user_ids) for batch in data.test_dataloader()) == data.manifest["splits"]["test"]["users"]
    moved = data.transfer_batch_to_device(next(iter(data.val_dataloader())), torch.device("meta"), 0)
    assert moved.targets_BT.device.type == moved.batch.items_BL.device.type == "meta"


def test_an_epoch_without_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="steps_per_epoch"):
        _module(tmp_path, steps_per_epoch=0)


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("[a-z]*.yaml")))
def test_every_config_builds_its_data_module(name: str, tmp_path: Path) -> None:
    files = ["data.source.events=e.csv"] if name in ("files", "huggingface") else []
    files += ["data.source.catalogue=c.csv"] if name == "files" else []
    with initialize_config_dir(str(CONF.parent), version_base="1.3"):
        config = compose("data", [f"data={name}", "data.root=folder", f"paths.outputs={tmp_path}", *files])
    data = instantiate(config.data)
    assert isinstance(data, BehaviorDataModule)
