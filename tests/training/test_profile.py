"""The clock of a training step."""

from __future__ import annotations

from itertools import cycle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from divrec.objectives import ExposureGini, Simpson
from divrec.training import Schedule
from divrec.training.profile import BACKWARD, StepClock, StepProfiler

CPU = torch.device("cpu")


@pytest.fixture
def ticking(monkeypatch):
    """A clock that is a second later each time it is read."""
    now = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(now)))
    return StepClock(CPU)


def test_a_phase_pauses_while_another_runs_inside_it(ticking):
    with ticking.phase("outer"):
        with ticking.phase("inner"):
            pass
        with ticking.phase("inner"):
            pass
    with ticking.phase("outer"):
        pass
    assert ticking.seconds == {"outer": 3 + 1, "inner": 2}


def test_time_between_phases_is_nobodys(ticking):
    with ticking.phase("one"):
        pass
    StepClock(CPU)._pass()
    with ticking.phase("two"):
        pass
    assert ticking.seconds == {"one": 1, "two": 1}


def test_a_watched_module_is_timed_but_what_a_backward_pass_computes_anew_is_the_backward_passes():
    clock, part = StepClock(CPU), nn.Linear(3, 3)
    clock.watch(part, "part")
    calls = []
    part.register_forward_pre_hook(lambda *_: calls.append(tuple(clock._open)))
    with clock.phase("step"):
        total = checkpoint(part, torch.ones(1, 3), use_reentrant=False).sum()
    with clock.phase(BACKWARD):
        total.backward()
    assert calls == [("step", "part"), (BACKWARD, BACKWARD)]
    assert set(clock.seconds) == {"step", "part", BACKWARD}
    assert clock._open == []


def profiler(make_module, data, **settings):
    module = make_module(Schedule(3, 0.1), {"simpson": Simpson, "gini": ExposureGini}, 1.0)
    return StepProfiler(module, cycle(data.train_dataloader()), CPU, **settings)


def test_every_part_of_a_step_has_its_time_and_the_weights_move(make_module, data):
    found = profiler(make_module, data, clip=1.0)
    before = found.module.model.popularity.detach().clone()
    phases = found.phases(steps=2, warmup=1)
    named = {"data", "loss: task", "loss: relaxation", "loss: simpson", "loss: gini", "backward", "optimizer"}
    assert named <= set(phases)
    assert all(seconds > 0 for seconds in phases.values())
    assert not torch.equal(found.module.model.popularity, before)
    assert not any(part._forward_hooks for part in found.module.modules()), "it leaves no hook behind"


def test_a_compiled_model_is_timed_from_outside(make_module, data):
    phases = profiler(make_module, data).phases(steps=2, warmup=1, inside_model=False)
    assert "model, masks and the rest" in phases
    assert not any(phase.startswith("model:") for phase in phases)


def test_the_dearest_operators_come_first_and_the_profiler_keeps_quiet(make_module, data, capfd):
    operators = profiler(make_module, data).operators(steps=2, count=4)
    assert len(operators) == 4
    times = [operator.milliseconds for operator in operators]
    assert times == sorted(times, reverse=True)
    assert all(operator.calls > 0 and operator.name for operator in operators)
    assert "profiler_start" not in capfd.readouterr().err
