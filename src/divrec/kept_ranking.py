"""The top M of a finished run on disk, so that other re-rankers need not score the catalogue again.

A file a split holds what `Ranking` holds, less the targets, which the data has. Its name carries M and a hash of all
that the ranking depends on: a ranking of other weights, data or settings has another name and is never read. The value
read is the value written, to the bit. Shapes: U users of a split, M candidates kept, P targets of all users in turn,
B users in a batch, T targets a user.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from divrec.batch import EvaluationBatch, Ranking
from divrec.errors import RecordError
from divrec.storage import replacing

logger = logging.getLogger(__name__)

_FORMAT = 1  # of the files: another layout, or another meaning of `Ranking`, makes all of them stale
_USERS = ("items_UM", "scores_UM", "candidates_U")
_TARGETS = ("above_P", "ties_P")


class Ranker(Protocol):
    """Ranks all items for the users of a split, batch by batch in the order of the data."""

    def rank(self, split: str, batch: EvaluationBatch) -> Ranking:
        """The ranking of a batch, on the batch's device."""

    def finish(self, split: str) -> None:
        """Told that the split has no more batches."""


@dataclass(frozen=True)
class RankingFiles:
    """Where the rankings of a run lie.

    Attributes:
        folder: for them alone.
        depends_on: all that decides the ranking, as JSON can hold it.
        top: number M of candidates kept; the largest pool of a re-ranker, or 100.
    """

    folder: Path
    depends_on: Mapping[str, Any]
    top: int

    def file(self, split: str) -> Path:
        """Of a split."""
        content = json.dumps([_FORMAT, self.top, self.depends_on], sort_keys=True)
        key = hashlib.blake2b(content.encode(), digest_size=12).hexdigest()
        return self.folder / f"{split}-top{self.top}-{key}.safetensors"

    def longest(self, splits: Sequence[str]) -> RankingFiles:
        """The same at the greatest M that is kept of this ranking for all these splits; as it is where none is.

        What re-ranks few candidates can read a ranking of many.
        """
        kept = set.intersection(*(self._kept(split) for split in splits))
        return replace(self, top=max(kept, default=self.top))

    def _kept(self, split: str) -> set[int]:
        names = (re.match(rf"{split}-top(\d+)-", file.name) for file in self.folder.glob(f"{split}-top*.safetensors"))
        tops = {int(name[1]) for name in names if name is not None}
        return {top for top in tops if replace(self, top=top).file(split).is_file()}

    def read(self, splits: Sequence[str]) -> KeptRanker | None:
        """The rankings of these splits, or None where one is not there or cannot be read."""
        found = {}
        for split in splits:
            file = self.file(split)
            if not file.is_file():
                return None
            try:
                found[split] = _Reading(file)
            except (SafetensorError, OSError) as error:
                logger.warning("%s is broken (%s): everything is ranked anew", file, error)
                return None
        return KeptRanker(found)

    def write(self, split: str, tensors: dict[str, Tensor]) -> None:
        """Write the ranking of a split and remove its stale ones."""
        file = self.file(split)
        with replacing(file) as temporary:
            save_file(tensors, temporary, metadata={"depends_on": json.dumps(self.depends_on, sort_keys=True)})
        for other in self.folder.glob(f"{split}-top*.safetensors"):
            if other != file:
                other.unlink()


class KeptRanker:
    """Reads what a `KeepingRanker` wrote.

    Args:
        readings: split -> its file, open.
    """

    def __init__(self, readings: dict[str, _Reading]) -> None:
        self._readings = readings

    def rank(self, split: str, batch: EvaluationBatch) -> Ranking:
        """The ranking of a batch, as it was.

        Raises:
            RecordError: the file holds fewer users or targets than the data.
        """
        reading, targets_BT = self._readings[split], batch.targets_BT
        device, given_BT = targets_BT.device, targets_BT >= 0
        items_BM, scores_BM, candidates_B = reading.users(len(targets_BT))
        above_BT, ties_BT = torch.zeros_like(targets_BT), torch.zeros_like(targets_BT)
        above_P, ties_P = reading.targets(int(given_BT.sum()))
        above_BT[given_BT], ties_BT[given_BT] = above_P.long().to(device), ties_P.long().to(device)
        return Ranking(
            items_BM=items_BM.long().to(device),
            scores_BM=scores_BM.to(device),
            targets_BT=targets_BT.masked_fill(ties_BT == 0, -1),
            above_BT=above_BT,
            ties_BT=ties_BT,
            candidates_B=candidates_B.long().to(device),
        )

    def finish(self, split: str) -> None:
        """Close the split's file.

        Raises:
            RecordError: it holds more users or targets than the data.
        """
        self._readings.pop(split).close()


class KeepingRanker:
    """Hands on what another ranker ranks, and writes it down when a split is finished.

    Args:
        ranker: the other.
        files: where to.
    """

    def __init__(self, ranker: Ranker, files: RankingFiles) -> None:
        self._ranker, self._files = ranker, files
        self._parts: list[dict[str, Tensor]] = []

    def rank(self, split: str, batch: EvaluationBatch) -> Ranking:
        """The other's ranking."""
        ranking = self._ranker.rank(split, batch)
        given_BT = batch.targets_BT >= 0
        part = {
            "items_UM": ranking.items_BM.int(),
            "scores_UM": ranking.scores_BM,
            "candidates_U": ranking.candidates_B.int(),
            "above_P": ranking.above_BT[given_BT].int(),
            "ties_P": ranking.ties_BT[given_BT].int(),
        }
        self._parts.append({name: tensor.cpu() for name, tensor in part.items()})
        return ranking

    def finish(self, split: str) -> None:
        """Write the split's file."""
        self._ranker.finish(split)
        parts, self._parts = self._parts, []
        self._files.write(split, {name: torch.cat([part[name] for part in parts]) for name in (*_USERS, *_TARGETS)})


class _Reading:
    """A file that is read from the first user to the last."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened = safe_open(file, framework="pt")
        self._next = dict.fromkeys((_USERS, _TARGETS), 0)

    def users(self, count: int) -> list[Tensor]:
        """Items, scores and candidates of the next users."""
        return self._take(_USERS, count)

    def targets(self, count: int) -> list[Tensor]:
        """Ranks of the next targets."""
        return self._take(_TARGETS, count)

    def close(self) -> None:
        """All of it must have been read."""
        for names, end in self._next.items():
            if self._column(names[0]).get_shape()[0] != end:
                raise self._of_other_data()

    def _take(self, names: tuple[str, ...], count: int) -> list[Tensor]:
        start = self._next[names]
        self._next[names] = start + count
        found: list[Tensor] = [self._column(name)[start : start + count] for name in names]
        if any(len(tensor) != count for tensor in found):
            raise self._of_other_data()
        return found

    def _column(self, name: str) -> Any:  # noqa: ANN401 - safetensors gives it no type
        return self._opened.get_slice(name)  # type: ignore[no-untyped-call]

    def _of_other_data(self) -> RecordError:
        return RecordError("a ranking of other data was kept here", where=str(self._file), mend="Delete the file.")
