"""The data of a run, as Lightning wants it."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler

from divrec.batch import Batch, EvaluationBatch
from divrec.data.build import PreparedData, Resources, prepare
from divrec.data.collate import Collation
from divrec.data.histories import read_histories
from divrec.data.loading import ResumableLoader, StepSampler
from divrec.data.preparation import Preparation
from divrec.data.recency import age_weights
from divrec.data.sampling import CandidateSampler, Sampling
from divrec.data.sources.source import Source
from divrec.data.split import Split
from divrec.data.steps import EvaluationSteps, TrainingSteps, WindowEnds
from divrec.data.text import ProfileText
from divrec.data.user_profiles import ProfileCuts, Profiles, UserProfiles
from divrec.errors import ConfigError
from divrec.schema import TEST, TRAIN, VALIDATION


class BehaviorDataModule(LightningDataModule):
    """Builds or reuses a prepared dataset and serves it in whole batches.

    Training data has no end; an epoch is a number of steps. The loaders already give each process its own share, and
    their samplers say so to Lightning, which leaves them alone.

    Args:
        source: where the log comes from.
        preparation: how it becomes a dataset.
        split: which part is for validation and test.
        datasets_root: folder of all prepared datasets.
        root: where the raw log lies; the source has it from here by interpolation, so that a command can say data.root.
        engine: "duckdb" or "spark"; the content is the same.
        memory: limit of DuckDB's own memory, as "1GB": for logs that do not fit into memory. None = as it likes.
        history_length: last events that a model reads of each user.
        batch_size: users a training step, over all processes.
        positions: queries a training step, over all processes; None = one a user.
        evaluation_batch_size: users an evaluation batch, in each process.
        half_life_days: age at which an event counts half in the history weights; None = age does not matter.
        num_workers: processes that build batches; they do not change them. 0 = in the process of the training.
        persistent_workers: keep these processes from one epoch to the next.
        pin_memory: put batches into page-locked memory, from where copies to a GPU are faster.
        bucket: so many training steps share their users out by length of history, and evaluation goes by length, so
            that batches are hardly padded; 1 = not, every batch is `history_length` wide.
        windows: where training windows end: "lead" = at the lead query; "full" = at the user's last moment (a long
            history's anywhere), so that all moments are asked about alike; "last" = at the user's last moment, so that
            of a long history the latest part alone is asked about.
        training_half_life_days: age, from the end of the training log, at which a moment is asked about half as often,
            and at which an event counts half in `recent_counts`: small = only the recent past is learned, for logs with
            seasons; None = age does not matter.
        sampling: candidates and labels of training queries; None = the task draws its own candidates.
        profiles: profile texts of users for a language model to read; None = no model reads any.
        seed: of users, moments and extra queries.
        steps_per_epoch: training steps an epoch; None = as many as show each user once.
    """

    def __init__(
        self,
        source: Source,
        preparation: Preparation,
        split: Split,
        datasets_root: str | Path,
        root: str | None = None,
        engine: str = "duckdb",
        memory: str | None = None,
        history_length: int = 50,
        batch_size: int = 256,
        positions: int | None = None,
        evaluation_batch_size: int = 256,
        half_life_days: float | None = None,
        num_workers: int = 0,
        persistent_workers: bool = False,
        pin_memory: bool = False,
        bucket: int = 1,
        windows: WindowEnds = "lead",
        training_half_life_days: float | None = None,
        sampling: Sampling | None = None,
        profiles: Profiles | None = None,
        seed: int = 0,
        steps_per_epoch: int | None = None,
    ) -> None:
        super().__init__()
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ConfigError("must be at least 1", where="data.steps_per_epoch", got=steps_per_epoch)
        self._recipe = (source, preparation, split, Path(datasets_root), Resources(engine, memory))
        self._window = (history_length, half_life_days)
        self._batch_size, self._positions, self._evaluation_batch_size = batch_size, positions, evaluation_batch_size
        self._seed, self._steps_per_epoch, self._bucket = seed, steps_per_epoch, bucket
        self._windows: WindowEnds = windows
        self._training_half_life_days = training_half_life_days
        self._sampling, self.profiles = sampling or Sampling(), profiles
        self._vectors_ND: torch.Tensor | None = None
        self._loading: dict[str, Any] = {
            "num_workers": num_workers,
            "persistent_workers": persistent_workers and num_workers > 0,
            "pin_memory": pin_memory and torch.cuda.is_available(),
        }
        self._prepared: PreparedData | None = None

    def prepare_data(self) -> None:
        """Build the dataset where it does not exist yet."""
        prepare(*self._recipe)

    def setup(self, stage: str | None = None) -> None:
        """Open the dataset; builds it where that has not happened yet."""
        _ = self.prepared

    @property
    def prepared(self) -> PreparedData:
        """The dataset; opened once, built where that has not happened yet."""
        if self._prepared is None:
            self._prepared = prepare(*self._recipe)
        return self._prepared

    @property
    def manifest(self) -> dict[str, Any]:
        """Counts, names, settings and source of the dataset."""
        return self.prepared.manifest

    @property
    def catalogue(self) -> Dataset:
        """A row an item; see `schema.catalogue_features`."""
        return self.prepared.catalogue

    @property
    def train(self) -> Dataset:
        """A row a user; see `schema.sequence_features`."""
        return self.prepared.splits[TRAIN]

    @functools.cached_property
    def recent_counts(self) -> torch.Tensor:
        """Training events of each item (N,), those of an age of `training_half_life_days` as half an event."""
        if self._training_half_life_days is None:
            return torch.as_tensor(self.catalogue["count"][:]).float()
        histories = read_histories(self.train)
        weights_E = age_weights(histories.times_E, self._training_half_life_days)
        counts_N = np.bincount(histories.items_E, weights_E, minlength=self.manifest["items"])
        return torch.from_numpy(counts_N).float()

    @property
    def needs_vectors(self) -> bool:
        """Whether `use_vectors` has to be called before training."""
        return self._sampling.needs_vectors

    def use_vectors(self, vectors_ND: torch.Tensor) -> None:
        """Give the frozen catalogue's unit text vectors, which similarity labels and hard negatives are made of."""
        self._vectors_ND = vectors_ND

    def profile_texts(self, split: str, profile: ProfileText) -> list[str]:
        """A text for every user of a split, out of the history."""
        return profile.of_split(self.prepared.splits[split], self.catalogue)

    @functools.cached_property
    def user_profiles(self) -> UserProfiles | None:
        """The profile texts of all users and who has which of them when; None where no model reads any."""
        if self.profiles is None:
            return None
        histories = {name: read_histories(split) for name, split in self.prepared.splits.items()}
        return self.profiles.of(histories, self.catalogue, self._collation().read_kinds)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training batches, `steps_per_epoch` an epoch."""
        sampler = None
        if self._sampling.negatives is not None:
            sampler = CandidateSampler(self._sampling, np.asarray(self.catalogue["count"][:]), self._vectors_ND)
        steps = TrainingSteps(
            dataclasses.replace(read_histories(self.train), profiles=self._profile_cuts(TRAIN)),
            self._collation(),
            self._batch_size,
            self._positions,
            self._seed,
            *self._share(),
            sampler=sampler,
            bucket=self._bucket,
            windows=self._windows,
            half_life_days=self._training_half_life_days,
        )
        length = self._steps_per_epoch or -(-steps.users // self._batch_size)
        return self._loader(steps, StepSampler(self._whole(length), self._progress))

    def val_dataloader(self) -> DataLoader[EvaluationBatch]:
        """The users of the validation window."""
        return self._evaluation_loader(VALIDATION)

    def test_dataloader(self) -> DataLoader[EvaluationBatch]:
        """The users of the test window."""
        return self._evaluation_loader(TEST)

    def transfer_batch_to_device(
        self, batch: Batch | EvaluationBatch, device: torch.device, dataloader_idx: int
    ) -> Batch | EvaluationBatch:
        """Move all tensors of a batch."""
        return batch.to(device)

    def _evaluation_loader(self, split: str) -> DataLoader[EvaluationBatch]:
        rank, world = self._share()
        table = self.prepared.splits[split]
        if len(table) < world:
            raise ConfigError(
                f"more than the {len(table)} users of the {split} split", where="trainer.devices", got=world
            )
        # No process may be left without a batch: all of them meet at the end of an evaluation.
        size = min(self._evaluation_batch_size, max(len(table) // world, 1))
        steps = EvaluationSteps(
            table,
            self._collation(),
            size,
            rank,
            world,
            by_length=self._bucket > 1,
            profiles=self._profile_cuts(split),
        )
        return self._loader(steps, DistributedSampler(steps, num_replicas=1, rank=0, shuffle=False))

    def _profile_cuts(self, split: str) -> ProfileCuts | None:
        return None if self.user_profiles is None else self.user_profiles.cuts[split]

    def _loader(self, steps: Any, sampler: DistributedSampler[Any]) -> DataLoader[Any]:  # noqa: ANN401
        return ResumableLoader(steps, sampler, self._loading)

    def _collation(self) -> Collation:
        history_length, half_life_days = self._window
        kinds = self.manifest["event_kinds"]
        return Collation(
            item_count=self.manifest["items"],
            event_weights=tuple(self.manifest["event_weights"]),
            target_kinds=tuple(kind in self.manifest["settings"]["targets"] for kind in kinds),
            input_kinds=tuple(kind in self.manifest.get("input_kinds", kinds) for kind in kinds),
            history_length=history_length,
            half_life_days=half_life_days,
            trim=self._bucket > 1,
        )

    def _whole(self, length: int) -> int:
        """An epoch of whole optimizer steps: at its end Lightning would step on gradients that are half accumulated."""
        together = 1 if self.trainer is None else self.trainer.accumulate_grad_batches
        return -(-length // together) * together

    def _progress(self) -> int | None:
        """Steps that the training has behind it, also after a checkpoint (its count of epochs is off by one then)."""
        return None if self.trainer is None else self.trainer.fit_loop.epoch_loop.batch_progress.total.ready

    def _share(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
