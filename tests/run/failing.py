"""Regularizers that end a training, each in the way of one kind of failure, and one that only speaks."""

from __future__ import annotations

import logging
import os
import resource
import signal

import torch
from torch import Tensor

from divrec.batch import Batch, SoftSlate
from divrec.objectives.diversity import Regularizer


class Crashing(Regularizer):
    """An exception in the middle of a training."""

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        raise RuntimeError("a bug in the middle of a training")


class OutOfMemory(Regularizer):
    """More memory than the process may have."""

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        limit = 64 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        return torch.zeros(2 * limit, dtype=torch.uint8).sum() + bytearray(2 * limit)[0]


class Killed(Regularizer):
    """Killed from outside, as by the kernel when memory runs out."""

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")


class Telling(Regularizer):
    """Fails nothing: says which device its process may use."""

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        logging.getLogger(__name__).info("sees device %s", os.environ.get("CUDA_VISIBLE_DEVICES"))
        return slate.weights_BM.sum() * 0.01
