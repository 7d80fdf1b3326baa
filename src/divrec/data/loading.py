"""What stands between numbered steps and Lightning: which step comes next, also after a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler


class StepSampler(DistributedSampler[Any]):
    """Step numbers of an epoch: epoch e asks for the steps e x length to (e + 1) x length.

    Lightning calls `set_epoch` on a DistributedSampler and does not replace it; this one stands for a single process.
    After a checkpoint from the middle of an epoch it goes on with the step after the last.

    Args:
        length: steps an epoch.
        progress: asked when an epoch begins: how many steps the whole training has behind it; None = `set_epoch` says.
    """

    def __init__(self, length: int, progress: Callable[[], int | None]) -> None:
        super().__init__(range(length), num_replicas=1, rank=0, shuffle=False)  # type: ignore[arg-type]
        self._length, self._progress = length, progress

    def __iter__(self) -> Iterator[int]:
        done = self._progress()
        start = self.epoch * self._length if done is None else done
        return iter(range(start, (start // self._length + 1) * self._length))

    def __len__(self) -> int:
        return self._length


class ResumableLoader(DataLoader[Any]):
    """A loader that Lightning may resume in mid-epoch: `StepSampler` knows from the trainer where to go on.

    Its generator, which only seeds workers, keeps torch's DataLoader from drawing from the program's own: how often a
    training was validated, or interrupted, moves no dropout.

    Args:
        steps: what is loaded, by number.
        sampler: which numbers.
        loading: further settings of a DataLoader.
    """

    def __init__(self, steps: Dataset[Any], sampler: Sampler[int], loading: Mapping[str, Any]) -> None:
        super().__init__(steps, batch_size=None, sampler=sampler, generator=torch.Generator(), **loading)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: a step is a pure function of its number, and the trainer counts."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""
