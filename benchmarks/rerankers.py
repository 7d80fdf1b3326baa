"""Throughput of the batched re-rankers against pyversity's loop, in the same run, on one thread.

python benchmarks/rerankers.py [--users 10000] [--rounds 3]; pyversity==0.2.0 is needed for the comparison only.
Rounds alternate between the two, so that a busy machine slows both down; the best round of each counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable

import torch
from torch.nn.functional import normalize

from divrec.batch import Catalogue, Ranking
from divrec.rerank import DeterminantalPointProcess, MaximalMarginalRelevance, MaximalSumOfDistances, SlidingSpectrum

ITEMS, POOL, WIDTH, K = 12_000, 100, 64, 10
STRATEGIES = {
    "mmr": MaximalMarginalRelevance(0.5),
    "msd": MaximalSumOfDistances(0.5),
    "dpp": DeterminantalPointProcess(0.5),
    "ssd": SlidingSpectrum(0.5),
}


def shop(users: int) -> tuple[Ranking, Catalogue]:
    """Random unit vectors and sorted random scores."""
    generator = torch.Generator().manual_seed(0)
    vectors_ND = normalize(torch.randn(ITEMS, WIDTH, generator=generator), dim=-1)
    zeros_N1 = torch.zeros(ITEMS, 1, dtype=torch.int64)
    catalogue = Catalogue(vectors_ND, zeros_N1, torch.ones(ITEMS, 1), 1, zeros_N1[:, 0])
    items_BM = torch.stack([torch.randperm(ITEMS, generator=generator)[:POOL] for _ in range(users)])
    scores_BM = torch.randn(users, POOL, generator=generator).sort(-1, descending=True).values
    nobody = torch.zeros(users, 1, dtype=torch.int64)
    return Ranking(items_BM, scores_BM, nobody - 1, nobody, nobody, nobody[:, 0] + ITEMS), catalogue


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def pyversity_loop(name: str, ranking: Ranking, catalogue: Catalogue) -> None:
    """One user after another; looking the vectors up is part of the work, as it is of ours."""
    import pyversity.strategies as strategies

    strategy, vectors = getattr(strategies, name), catalogue.vectors_ND.numpy()
    for items, scores in zip(ranking.items_BM.numpy(), ranking.scores_BM.numpy(), strict=True):
        items[strategy(vectors[items], scores, K, diversity=0.5).indices]


def main() -> None:
    """Print a row a strategy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ranking, catalogue = shop(arguments.users)
    compared = importlib.util.find_spec("pyversity") is not None
    print(f"{arguments.users} users x {POOL} candidates x {WIDTH} dimensions, k = {K}, one thread; us a user")
    for name, strategy in STRATEGIES.items():
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            ours.append(seconds(lambda strategy=strategy: strategy(ranking, catalogue, K)))  # type: ignore[misc]
            if compared:
                theirs.append(seconds(lambda name=name: pyversity_loop(name, ranking, catalogue)))  # type: ignore[misc]
        own = min(ours) / arguments.users * 1e6
        text = f"{name:4} divrec {own:6.1f}"
        if theirs:
            other = min(theirs) / arguments.users * 1e6
            text += f"   pyversity {other:6.1f}   ratio {other / own:5.1f}"
        print(text)


if __name__ == "__main__":
    main()
