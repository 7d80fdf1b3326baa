"""The data module under a Trainer and from its configs."""

from pathlib import Path

import pytest
import pytorch_lightning as lightning
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from pytorch_lightning.callbacks import ModelCheckpoint

from divrec.batch import Batch, EvaluationBatch
from divrec.data import BehaviorDataModule, GlobalTime, Preparation, ProfileText, Synthetic
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


def _trainer(**arguments) -> lightning.Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "num_sanity_val_steps": 0}
    return lightning.Trainer(**({"accelerator": "cpu", "enable_checkpointing": False} | quiet | arguments))


def test_epochs_go_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    data, recorder = _module(tmp_path), _Recorder()
    _trainer(max_epochs=2).fit(recorder, datamodule=data)
    steps = data.train_dataloader().dataset
    assert [batch.users_B.tolist() for batch in recorder.trained] == [steps[i].users_B.tolist() for i in range(6)]
    assert sorted(recorder.evaluated) == sorted(list(data.prepared.splits["validation"]["user_id"]) * 2)


@pytest.mark.parametrize(("stop", "workers"), [(7, 0), (5, 0), (7, 1)])
def test_training_resumes_in_mid_epoch(stop: int, workers: int, tmp_path: Path) -> None:
    saver = ModelCheckpoint(tmp_path / "saved", every_n_train_steps=stop, save_top_k=-1)
    changes = {"steps_per_epoch": 5, "num_workers": workers, "persistent_workers": True}
    first, second = _Recorder(), _Recorder()
    arguments = {"max_steps": 12, "limit_val_batches": 0}
    trainer = _trainer(**arguments, callbacks=[saver], enable_checkpointing=True)
    trainer.fit(first, datamodule=_module(tmp_path, **changes))
    checkpoint = next((tmp_path / "saved").glob(f"*step={stop}.ckpt"))
    _trainer(**arguments).fit(
        second, datamodule=_module(tmp_path, **changes), ckpt_path=str(checkpoint), weights_only=False
    )
    wanted = [batch.users_B.tolist() for batch in first.trained]
    assert len(wanted) == 12
    assert [batch.users_B.tolist() for batch in second.trained] == wanted[stop:]


def test_buckets_shorten_batches_and_keep_every_user(tmp_path: Path) -> None:
    plain = _module(tmp_path, steps_per_epoch=None, history_length=50)
    data = _module(tmp_path, steps_per_epoch=None, history_length=50, bucket=4)
    batches = [data.train_dataloader().dataset[step] for step in range(8)]
    widths = [batch.items_BL.shape[1] for batch in batches]
    padding = [(batch.groups_BL < 0).float().mean().item() for batch in batches]
    wide = [(plain.train_dataloader().dataset[step].groups_BL < 0).float().mean().item() for step in range(8)]
    assert max(widths) <= 50
    assert len(set(widths)) > 2
    assert sum(padding) < 0.5 * sum(wide)
    users = [user for batch in batches[:4] for user in batch.users_B.tolist()]
    assert sorted(users) == sorted(
        user for step in range(4) for user in plain.train_dataloader().dataset[step].users_B.tolist()
    )
    evaluated = [user for batch in data.val_dataloader() for user in batch.user_ids]
    assert sorted(evaluated) == sorted(data.prepared.splits["validation"]["user_id"])
    widths = [batch.batch.items_BL.shape[1] for batch in data.val_dataloader()]
    assert widths == sorted(widths)


def test_profile_texts_are_those_of_a_split(tmp_path: Path) -> None:
    data = _module(tmp_path)
    texts = data.profile_texts("train", ProfileText(limit=2))
    assert len(texts) == data.manifest["splits"]["train"]["users"]


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
