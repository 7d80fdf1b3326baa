"""A million items on a laptop: training steps with sampled negatives, and a ranking of everything.

python benchmarks/million_items.py [--items 1000000 --steps 10]

Prints, for a tenth of the catalogue and for all of it: seconds a step, what a step holds beyond weights and optimizer,
seconds to rank all items for a batch of users, and the peak memory of the process. Items, texts and histories are
generated; each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from functools import partial

USERS, LENGTH, POSITIONS, TEXT_WIDTH, TOP = 256, 50, 700, 128, 100


def measure(items: int, steps: int) -> dict[str, float]:
    """Train some steps, then rank for one batch of users."""
    import torch

    from divrec.models import AttentionUser, Recommender
    from divrec.models.item import ItemShape, ItemTower
    from divrec.models.tuning import FixedVectors
    from divrec.objectives import SampledCrossEntropy, SoftTopK, TradeoffObjective
    from divrec.ranking import rank, tie_order

    torch.set_num_threads(1)
    torch.manual_seed(0)
    counts_N = torch.ones(items, dtype=torch.long)
    vectors_NW = torch.nn.functional.normalize(torch.randn(items, TEXT_WIDTH), dim=-1)
    tower = ItemTower(FixedVectors(vectors_NW), torch.arange(items), TEXT_WIDTH, ItemShape(), counts_N)
    model = Recommender(tower, AttentionUser(64), torch.zeros(items))
    objective = TradeoffObjective(SampledCrossEntropy(), {}, SoftTopK(10), catalogue_size=items)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = [random_batch(items, POSITIONS, torch.Generator().manual_seed(seed)) for seed in range(steps)]
    held = partial(_held_by_a_step, model, objective)
    for batch in batches[:2]:  # the optimizer's state is made at the first step
        objective.step(model, batch)["total"].backward()
        optimizer.step()
        optimizer.zero_grad()
    started = time.perf_counter()
    for batch in batches:
        objective.step(model, batch)["total"].backward()
        optimizer.step()
        optimizer.zero_grad()
    step_seconds = (time.perf_counter() - started) / steps
    activations = held(batches[0])
    model.eval()
    query = random_batch(items, USERS, torch.Generator().manual_seed(9))
    started = time.perf_counter()
    with torch.no_grad():
        targets_BT = query.target_items_P[:USERS].unsqueeze(-1)
        rank(model(query).scores_QN, targets_BT, query.seen_QS[:USERS], TOP, tie_order(items, 0))
    rank_seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "items": items,
        "step_seconds": step_seconds,
        "activations_mb": activations / 2**20,
        "rank_seconds": rank_seconds,
        "peak_mb": peak,
    }


def _held_by_a_step(model, objective, batch) -> int:  # noqa: ANN001 - torch is imported late
    """Bytes that autograd keeps between the forward and the backward pass, weights not counted."""
    import torch

    own = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        objective.step(model, batch)
    return sum(kept.values())


def random_batch(items: int, queries: int, generator):  # noqa: ANN001, ANN201 - torch is imported late
    """Random histories, each of one moment an event, and random targets."""
    import torch

    from divrec.batch import Batch

    items_BL = torch.randint(items, (USERS, LENGTH), generator=generator)
    rows_Q = torch.cat([torch.arange(USERS), torch.randint(USERS, (queries - USERS,), generator=generator)])
    groups_Q = torch.randint(LENGTH, (queries,), generator=generator)
    return Batch(
        users_B=torch.arange(USERS),
        items_BL=items_BL,
        groups_BL=torch.arange(LENGTH).expand(USERS, LENGTH),
        events_BL=torch.zeros(USERS, LENGTH, dtype=torch.long),
        query_rows_Q=rows_Q,
        query_groups_Q=groups_Q,
        seen_QS=items_BL[rows_Q].masked_fill(torch.arange(LENGTH) > groups_Q.unsqueeze(-1), items),
        history_QS=torch.ones(queries, LENGTH),
        target_queries_P=torch.arange(queries),
        target_items_P=torch.randint(items, (queries,), generator=generator),
        target_values_P=torch.ones(queries),
    )


def main() -> None:
    """Measure two sizes and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--alone", action="store_true", help="measure this size in this process and print JSON")
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(measure(arguments.items, arguments.steps)))
        return
    for items in (arguments.items // 10, arguments.items):
        command = [sys.executable, __file__, "--alone", "--items", str(items), "--steps", str(arguments.steps)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(
            f"{items:>9,} items: {found['step_seconds']:.2f} s a step, {found['activations_mb']:.0f} MB kept for its "
            f"backward pass; {found['rank_seconds']:.1f} s to rank all for {USERS} users; "
            f"peak {found['peak_mb'] / 1024:.1f} GB"
        )


if __name__ == "__main__":
    main()
