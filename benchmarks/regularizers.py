"""CPU time of a training step with each regularizer over one without, at the size of Complete Journey.

python benchmarks/regularizers.py [--rounds 5] [--only gini dpp]: 17,000 items, 256 users with histories of 50, 700
queries, one thread. Random weights and vectors; the default two-tower model over frozen text vectors, cross-entropy
over all items; a step is forward, backward and AdamW. Steps with and without alternate, so that a busy machine slows
both down; the CPU time of the process counts, and the median of the rounds' ratios is shown.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn
from torch.nn.functional import normalize

from divrec.batch import Batch, Catalogue
from divrec.models import AttentionUser, Recommender
from divrec.models.item import ItemShape, ItemTower
from divrec.models.tuning import FixedVectors
from divrec.objectives import CrossEntropy, SoftTopK, TradeoffObjective
from divrec.run.door import CONF

ITEMS, USERS, LENGTH, QUERIES, SEEN = 17_000, 256, 50, 700, 60
WIDTH, DIM, CATEGORIES, K = 128, 64, 300, 10
GENERATOR = torch.Generator().manual_seed(0)


def shop() -> Catalogue:
    """Random unit vectors, 300 categories, a long tail of events."""
    return Catalogue(
        vectors_ND=normalize(torch.randn(ITEMS, WIDTH, generator=GENERATOR), dim=-1),
        categories_NJ=torch.randint(CATEGORIES, (ITEMS, 1), generator=GENERATOR),
        category_weights_NJ=torch.ones(ITEMS, 1),
        category_count=CATEGORIES,
        counts_N=100_000 // torch.arange(1, ITEMS + 1),
    )


def batch() -> Batch:
    """Random histories: a query for each user first, then further moments of the same users."""
    rows_Q = torch.cat([torch.arange(USERS), torch.randint(USERS, (QUERIES - USERS,), generator=GENERATOR)])
    return Batch(
        users_B=torch.arange(USERS),
        items_BL=torch.randint(ITEMS, (USERS, LENGTH), generator=GENERATOR),
        groups_BL=torch.arange(LENGTH).expand(USERS, LENGTH),
        events_BL=torch.zeros(USERS, LENGTH, dtype=torch.long),
        query_rows_Q=rows_Q,
        query_groups_Q=torch.randint(10, LENGTH, (QUERIES,), generator=GENERATOR),
        seen_QS=torch.randint(ITEMS // 2, (QUERIES, SEEN), generator=GENERATOR),
        history_QS=torch.ones(QUERIES, SEEN),
        target_queries_P=torch.arange(QUERIES),
        target_items_P=torch.randint(ITEMS // 2, ITEMS, (QUERIES,), generator=GENERATOR),
        target_values_P=torch.ones(QUERIES),
    )


class Step:
    """A training step with these regularizers; the model is its own."""

    def __init__(self, catalogue: Catalogue, regularizers: dict[str, nn.Module]) -> None:
        torch.manual_seed(0)
        vectors = FixedVectors(catalogue.vectors_ND)
        tower = ItemTower(vectors, torch.arange(ITEMS), WIDTH, ItemShape(dim=DIM), catalogue.counts_N)
        self.model = Recommender(tower, AttentionUser(DIM), torch.log1p(catalogue.counts_N.float()))
        beta = 0.3 if regularizers else 0.0
        self.objective = TradeoffObjective(CrossEntropy(), regularizers, SoftTopK(K), beta, "raw")
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)

    def seconds(self, given: Batch) -> float:
        """CPU time of one step."""
        started = time.process_time()
        self.optimizer.zero_grad()
        self.objective(self.model(given), given)["total"].backward()
        self.optimizer.step()
        return time.process_time() - started


def main() -> None:
    """Print a row a regularizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = sorted(path.stem for path in Path(CONF, "diversity").glob("*.yaml") if path.stem != "none")
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", overrides=[f"diversity=[{','.join(names)}]"])
    catalogue, given = shop(), batch()
    alone = Step(catalogue, {})
    print(f"{ITEMS} items, {USERS} users, {QUERIES} queries; CPU seconds of a step, median of {arguments.rounds}")
    for name in arguments.only or names:
        step = Step(catalogue, {name: instantiate(config.diversity[name])(catalogue=catalogue)})
        pairs = [(alone.seconds(given), step.seconds(given)) for _ in range(arguments.rounds + 1)][1:]  # one to warm up
        without, with_it = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(with_it / without for without, with_it in pairs)
        print(f"{name:30} {without:6.3f} {with_it:6.3f}  x {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
