"""Where a training step's time goes."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity
from torch.utils.hooks import RemovableHandle

from divrec.batch import Batch
from divrec.objectives import TOTAL
from divrec.training.module import RecommenderModule
from divrec.training.tables import text_tables

DATA, REST_OF_MODEL, REST_OF_LOSS = "data", "model: scores and the rest", "loss: masks and the rest"
FORWARD, BACKWARD, OPTIMIZER = "model, masks and the rest", "backward", "optimizer"
_QUIET = "6"  # above the level at which torch's profiler writes that it starts and stops; read at its first use


@dataclass(frozen=True)
class Operator:
    """One of torch's operators in the profile.

    Attributes:
        name: torch's.
        calls: a step.
        milliseconds: a step, without the operators that it calls.
    """

    name: str
    calls: float
    milliseconds: float


class StepClock:
    """Adds up the time of named, nested phases; a phase's time is its own, without that of phases inside it.

    Args:
        device: waited for at each border on a GPU, where work is queued.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._device = device
        self._open: list[str] = []
        self._last = 0.0

    def start(self, phase: str) -> None:
        """Begin a phase; the one around it pauses."""
        self._pass()
        self._open.append(phase)

    def stop(self) -> None:
        """End the phase begun last."""
        self._pass()
        self._open.pop()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase as a block."""
        self.start(name)
        try:
            yield
        finally:
            self.stop()

    def watch(self, module: nn.Module, phase: str) -> list[RemovableHandle]:
        """Time every call of a module as a phase, inside phases only: what a backward pass computes anew is its own."""

        def before(*_: object) -> None:
            self.start(self._open[-1] if BACKWARD in self._open else phase)

        def after(*_: object) -> None:
            self.stop()

        # Always: what is computed anew for a backward pass breaks off, by an error, at the last tensor that is needed.
        return [module.register_forward_pre_hook(before), module.register_forward_hook(after, always_call=True)]

    def _pass(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._last
        self._last = now


@dataclass(frozen=True)
class StepProfiler:
    """Runs training steps outside of Lightning and says where their time goes.

    Attributes:
        module: with its optimizer; its weights are trained.
        batches: training batches without an end.
        device: that the module lies on.
        autocast: of each forward pass.
        clip: bound of the gradient's norm; None = none.
    """

    module: RecommenderModule
    batches: Iterator[Batch]
    device: torch.device
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    clip: float | None = None

    def phases(self, steps: int, warmup: int, inside_model: bool = True) -> dict[str, float]:
        """Seconds a step, by phase.

        Args:
            steps: that are timed.
            warmup: steps before them.
            inside_model: whether the model and its parts are timed apart: a clock inside breaks a compiled model up.
        """
        optimizer = self.module.build_optimizer(self.module.model)
        self.module.train()
        self._run(StepClock(self.device), optimizer, warmup)
        clock = StepClock(self.device)
        handles = [handle for part, name in _parts(self.module, inside_model) for handle in clock.watch(part, name)]
        try:
            self._run(clock, optimizer, steps, REST_OF_LOSS if inside_model else FORWARD)
        finally:
            for handle in handles:
                handle.remove()
        return {phase: seconds / steps for phase, seconds in clock.seconds.items()}

    def operators(self, steps: int, count: int) -> list[Operator]:
        """The `count` operators of torch that take most time of their own, over so many steps."""
        optimizer = self.module.build_optimizer(self.module.model)
        on_gpu = self.device.type == "cuda"
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        os.environ.setdefault("KINETO_LOG_LEVEL", _QUIET)
        with torch.profiler.profile(activities=activities) as profiler:
            self._run(StepClock(self.device), optimizer, steps)
        own = "self_device_time_total" if on_gpu else "self_cpu_time_total"
        events = sorted(profiler.key_averages(), key=lambda event: getattr(event, own), reverse=True)
        return [
            Operator(str(each.key), each.count / steps, getattr(each, own) / 1000 / steps) for each in events[:count]
        ]

    def _run(self, clock: StepClock, optimizer: torch.optim.Optimizer, steps: int, forward: str = FORWARD) -> None:
        tables = text_tables(self.module.model).values()
        for _ in range(steps):
            with clock.phase(DATA):
                batch = next(self.batches).to(self.device)
            for table in tables:
                table.start_step(table.steps)
            with clock.phase(forward), self.autocast():
                total = self.module.terms(batch)[TOTAL]
            with clock.phase(BACKWARD):
                torch.autograd.backward(total)
            with clock.phase(OPTIMIZER):
                if self.clip is not None:
                    nn.utils.clip_grad_norm_(self.module.model.parameters(), self.clip)
                optimizer.step()
                optimizer.zero_grad()


def _parts(module: RecommenderModule, inside_model: bool) -> list[tuple[nn.Module, str]]:
    parts: list[tuple[nn.Module, str]] = [(module.objective.task, "loss: task")]
    if inside_model:
        parts.append((module.model, REST_OF_MODEL))
        parts += [(part, f"model: {name}") for name, part in module.model.named_children()]
    if isinstance(module.objective.relaxation, nn.Module):
        parts.append((module.objective.relaxation, "loss: relaxation"))
    return [*parts, *((part, f"loss: {name}") for name, part in module.objective.regularizers.items())]
