"""Where a training step's time goes: python -m divrec.run.profile [KEY=VALUE ...]; `make profile`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig

from divrec.errors import ConfigError, check_number
from divrec.run.door import CONF, check_dials, check_tuning, friendly

if TYPE_CHECKING:
    import torch

    from divrec.batch import Batch
    from divrec.data import BehaviorDataModule
    from divrec.training.profile import StepProfiler


@hydra.main(version_base="1.3", config_path=CONF, config_name="profile")
@friendly
def main(config: DictConfig) -> None:
    """Time the steps of a training and print a table; nothing is kept."""
    check_dials(config)
    check_tuning(config)
    check_number("profile.warmup", config.profile.warmup, least=0, whole=True)
    check_number("profile.steps", config.profile.steps, least=1, whole=True)
    check_number("profile.operators", config.profile.operators, least=0, whole=True)
    profiler = _profiler(config)
    phases = profiler.phases(config.profile.steps, config.profile.warmup, inside_model=not config.compile)
    _show("Phase of a training step", [(name, "", 1000 * seconds) for name, seconds in phases.items()])
    if config.profile.operators:
        operators = profiler.operators(min(config.profile.steps, 10), config.profile.operators)
        whole = 1000 * sum(phases.values())
        _show("Operator of torch", [(each.name, f"{each.calls:g}", each.milliseconds) for each in operators], whole)


def _profiler(config: DictConfig) -> StepProfiler:
    import torch

    from divrec.run.assembly import assemble, objective, open_data
    from divrec.run.hardware import check_hardware
    from divrec.run.job import build_module
    from divrec.training import compile_in_place
    from divrec.training.profile import StepProfiler

    check_hardware(config, in_multirun=False)
    torch.set_num_threads(config.threads)
    parts = assemble(config, open_data(config))
    if parts.is_baseline:
        raise ConfigError("is not trained in steps", where="model", mend="Choose a model that is trained.")
    use_gpu = torch.cuda.is_available() and config.trainer.accelerator != "cpu"
    device = torch.device("cuda" if use_gpu else "cpu")
    module = build_module(config, parts, objective(config, parts.catalogue)).to(device)
    if config.compile:
        compile_in_place(module.model)
    return StepProfiler(
        module,
        _endless(parts.data),
        device,
        _autocast(config.trainer.precision, device),
        config.trainer.gradient_clip_val,
    )


def _endless(data: BehaviorDataModule) -> Iterator[Batch]:
    while True:
        yield from data.train_dataloader()


def _autocast(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    import torch

    kinds = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
    if precision not in kinds:
        return nullcontext
    return partial(torch.autocast, device.type, dtype=kinds[precision])


def _show(title: str, rows: list[tuple[str, str, float]], whole: float | None = None) -> None:
    """A table of names, calls and milliseconds a step, the longest first.

    Args:
        title: of the first column.
        rows: name, calls where they are counted, milliseconds.
        whole: what shares are shares of; None = the sum, shown below.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(show_footer=whole is None)
    total = sum(row[2] for row in rows) if whole is None else whole
    counted = any(row[1] for row in rows)
    table.add_column(title, footer="all")
    if counted:
        table.add_column("calls a step", justify="right")
    table.add_column("ms a step", justify="right", footer=f"{total:.2f}")
    table.add_column("share", justify="right", footer="100 %")
    for name, calls, milliseconds in sorted(rows, key=lambda row: -row[2]):
        middle = [calls] if counted else []
        table.add_row(name, *middle, f"{milliseconds:.2f}", f"{100 * milliseconds / total:.1f} %")
    Console().print(table)


if __name__ == "__main__":
    main()
