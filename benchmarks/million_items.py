"""A million items on a laptop: training steps with sampled negatives or over all items, and a ranking of everything.

python benchmarks/million_items.py [--items 1000000] [--steps 10] [--full-steps 3] [--chunk 4096] [--beta 0]

Sampled negatives, for a tenth of the catalogue and for all of it: CPU seconds a step, what a step holds beyond weights
and optimizer, seconds to rank all items for a batch of users, and the peak memory of the process. Full softmax: the
same for a tenth of the catalogue, all scores at once against scores in chunks, and in chunks for all of it; nothing is
ranked there, and `--beta` above 0 adds a penalty on uneven exposure. A step is forward, backward and AdamW of the
whole model, the median counts; `softmax` is the part of the loss alone, forward and backward by the vectors. Items,
texts and histories are generated; one thread; each row is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

USERS, LENGTH, POSITIONS, TEXT_WIDTH, TOP = 256, 50, 700, 128, 100


def measure(items: int, steps: int, full: bool, chunk: int | None, beta: float) -> dict[str, float]:
    """Train some steps; with sampled negatives, then rank for one batch of users."""
    import torch

    from divrec.objectives import CrossEntropy, ExposureGini, SampledCrossEntropy, SoftTopK, TradeoffObjective

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = _model(items)
    task = CrossEntropy(chunk) if full else SampledCrossEntropy()
    regularizers = {"gini": ExposureGini(_catalogue(items))} if full and beta else {}
    objective = TradeoffObjective(task, regularizers, SoftTopK(10), beta if full else 0, "raw", catalogue_size=items)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = [random_batch(items, POSITIONS, torch.Generator().manual_seed(seed)) for seed in range(steps)]

    def step(batch) -> None:  # noqa: ANN001 - torch is imported late
        objective.step(model, batch)["total"].backward()
        optimizer.step()
        optimizer.zero_grad()

    step(batches[0])  # the optimizer's state is made at the first step
    found = {
        "items": items,
        "step_seconds": statistics.median(_seconds(lambda batch=batch: step(batch)) for batch in batches),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "activations_mb": _held_by_a_step(model, objective, batches[0]) / 2**20,
    }
    if full:
        alone = TradeoffObjective(task, {}, SoftTopK(10))
        return found | {"softmax_seconds": min(_softmax_seconds(alone, items, batch) for batch in batches[:3])}
    found["rank_seconds"] = _rank_seconds(model, items)
    return found | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _model(items: int):  # noqa: ANN202 - torch is imported late
    import torch

    from divrec.models import AttentionUser, Recommender
    from divrec.models.item import ItemShape, ItemTower
    from divrec.models.tuning import FixedVectors

    vectors_NW = torch.nn.functional.normalize(torch.randn(items, TEXT_WIDTH), dim=-1)
    counts_N = torch.ones(items, dtype=torch.long)
    tower = ItemTower(FixedVectors(vectors_NW), torch.arange(items), TEXT_WIDTH, ItemShape(), counts_N)
    return Recommender(tower, AttentionUser(64), torch.zeros(items))


def _catalogue(items: int):  # noqa: ANN202 - torch is imported late
    """Of which nothing counts but its size."""
    import torch

    from divrec.batch import Catalogue

    return Catalogue(
        vectors_ND=torch.ones(items, 1),
        categories_NJ=torch.zeros(items, 1, dtype=torch.long),
        category_weights_NJ=torch.ones(items, 1),
        category_count=1,
        counts_N=torch.ones(items, dtype=torch.long),
    )


def _softmax_seconds(objective, items: int, batch) -> float:  # noqa: ANN001 - torch is imported late
    """Of masking, loss and gradients by the vectors, without the model that makes those."""
    import torch

    from divrec.batch import ModelOutput, Request

    users_QD, items_ND = ((0.3 * torch.randn(size, 65)).requires_grad_() for size in (POSITIONS, items))

    def run() -> None:
        if objective.task.chunk is None:
            terms = objective(ModelOutput(users_QD @ items_ND.T), batch)
        else:
            none_BN = users_QD.new_empty(0, 0)
            terms = objective(ModelOutput(none_BN, users_QD, items_ND), batch, Request(None, leading=False))
        terms["total"].backward()

    return _seconds(run)


def _rank_seconds(model, items: int) -> float:  # noqa: ANN001 - torch is imported late
    import torch

    from divrec.ranking import rank, tie_order

    model.eval()
    query = random_batch(items, USERS, torch.Generator().manual_seed(9))
    targets_BT = query.target_items_P[:USERS].unsqueeze(-1)
    with torch.no_grad():
        return _seconds(
            lambda: rank(model(query).scores_QN, targets_BT, query.seen_QS[:USERS], TOP, tie_order(items, 0))
        )


def _seconds(action: Callable[[], object]) -> float:
    """CPU time of one call."""
    started = time.process_time()
    action()
    return time.process_time() - started


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
    """Measure each size and loss in a process of its own and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("items", 1_000_000), ("steps", 10), ("full-steps", 3), ("chunk", 4096)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--beta", type=float, default=0.0)
    parser.add_argument("--only", choices=("sampled", "full"), help="leave the other out")
    parser.add_argument("--alone", help=argparse.SUPPRESS)  # one row, in this process, as JSON
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(measure(*json.loads(arguments.alone))))
        return
    few, many = arguments.items // 10, arguments.items
    if arguments.only != "full":
        for items in (few, many):
            found = _alone(items, arguments.steps, False, None, 0)
            print(f"{_row(found, 'sampled')}; {found['rank_seconds']:.1f} s to rank all for {USERS} users", flush=True)
    if arguments.only != "sampled":
        whole, chunked, all_of_them = (
            _alone(items, arguments.full_steps, True, chunk, arguments.beta)
            for items, chunk in ((few, None), (few, arguments.chunk), (many, arguments.chunk))
        )
        for found, name in ((whole, "at once"), (chunked, "in chunks"), (all_of_them, "in chunks")):
            print(f"{_row(found, f'full, {name}')}; softmax {found['softmax_seconds']:.2f} s")
        ratios = {key: chunked[key] / whole[key] for key in ("step_seconds", "softmax_seconds", "peak_mb")}
        print(f"{few:>9,} items, chunks of {arguments.chunk:,} over at once: {_named(ratios)}")


def _alone(*row: float | bool | None) -> dict[str, float]:
    command = [sys.executable, __file__, "--alone", json.dumps(row)]
    measured: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return measured


def _row(found: dict[str, float], name: str) -> str:
    return (
        f"{found['items']:>9,} items, {name:15} {found['step_seconds']:6.2f} s a step, "
        f"{found['activations_mb']:5.0f} MB kept for its backward pass; peak {found['peak_mb'] / 1024:.1f} GB"
    )


def _named(ratios: dict[str, float]) -> str:
    return ", ".join(f"{name} x {ratio:.2f}" for name, ratio in ratios.items())


if __name__ == "__main__":
    main()
