"""How long all metrics take at the size of Amazon Beauty, and how long others take for a part of them.

python benchmarks/metrics.py [--users 22363] [--items 12101] [--k 5 10 20]. One thread; scores are made batch by batch,
as a model would, and their making is not counted. The comparison runs torchmetrics' retrieval metrics and, where it is
installed (in an environment of its own), RecTools on the same scores as ours.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from divrec.batch import Catalogue
from divrec.metrics import MAP, MRR, NDCG, GroupMetrics, HitRate, Precision, Recall, SlateMetrics
from divrec.ranking import deliver, rank, tie_order

CATEGORIES, WIDTH, BATCH, HISTORY = 200, 128, 256, 9
SMALL = (2000, 1000)  # users and items of the comparison


def shop(items: int) -> Catalogue:
    """Items with texts, one category each, and Zipf counts."""
    generator = torch.Generator().manual_seed(0)
    return Catalogue(
        vectors_ND=normalize(torch.randn(items, WIDTH, generator=generator), dim=-1),
        categories_NJ=torch.randint(0, CATEGORIES, (items, 1), generator=generator),
        category_weights_NJ=torch.ones(items, 1),
        category_count=CATEGORIES,
        counts_N=(200_000 / (3.0 + torch.randperm(items, generator=generator)) ** 0.8).long(),
    )


def whole_evaluation(users: int, items: int, sizes: tuple[int, ...]) -> None:
    """All metrics and groups of all users; prints the time of each part."""
    catalogue, generator = shop(items), torch.Generator().manual_seed(1)
    metrics = SlateMetrics(catalogue, sizes)
    groups = GroupMetrics(catalogue, metrics.sizes, metrics.names)
    factors_ND, places_N = torch.randn(items, 32, generator=generator), tie_order(items, 0)
    spent = dict.fromkeys(("ranking", "metrics", "groups"), 0.0)
    for start in range(0, users, BATCH):
        size = min(BATCH, users - start)
        scores_BN = torch.randn(size, 32, generator=generator) @ factors_ND.T + catalogue.counts_N.log1p()
        seen_BS = torch.randint(0, items, (size, HISTORY), generator=generator)
        targets_BT = torch.randint(0, items, (size, 1), generator=generator)
        started = time.perf_counter()
        ranking = rank(scores_BN, targets_BT, seen_BS, 100, places_N)
        slate = deliver(ranking, max(sizes))
        ranked = time.perf_counter()
        values = metrics.update(ranking, slate, seen_BS, torch.ones(size, HISTORY))
        measured = time.perf_counter()
        groups.update(ranking, slate, seen_BS, values)
        spent["ranking"] += ranked - started
        spent["metrics"] += measured - ranked
        spent["groups"] += time.perf_counter() - measured
    started = time.perf_counter()
    found = metrics.compute()
    spent["metrics"] += time.perf_counter() - started
    started = time.perf_counter()
    rows = groups.values()
    spent["groups"] += time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent.items())
    print(f"{users} users x {items} items, k = {sizes}: {sum(spent.values()):.1f} s ({parts}), peak {peak:.2f} GB")
    print(f"{len(found)} values and {len(rows)} by group")


def small_case() -> tuple[Tensor, Tensor]:
    """Scores and three targets a user."""
    generator = torch.Generator().manual_seed(2)
    scores_BN = torch.randn(SMALL, generator=generator)
    return scores_BN, torch.stack([torch.randperm(SMALL[1], generator=generator)[:3] for _ in range(SMALL[0])])


def ours(scores_BN: Tensor, targets_BT: Tensor) -> dict[str, float]:
    """Six accuracy metrics at 10, ranking included."""
    ranking = rank(scores_BN, targets_BT, None, 10, torch.arange(scores_BN.shape[1]))
    kinds = {"recall": Recall, "precision": Precision, "hit_rate": HitRate, "ndcg": NDCG, "mrr": MRR, "map": MAP}
    found = {}
    for name, kind in kinds.items():
        metric = kind(10)
        metric.update(ranking)
        found[name] = float(metric.compute())
    return found


def torchmetrics_retrieval(scores_BN: Tensor, targets_BT: Tensor) -> dict[str, float]:
    """The same by torchmetrics; its average precision is over the hits in the list, so it is left out."""
    from torchmetrics import retrieval

    relevant_BN = torch.zeros(scores_BN.shape, dtype=torch.bool).scatter(1, targets_BT, True)
    users_BN = torch.arange(len(scores_BN)).unsqueeze(-1).expand_as(relevant_BN)
    kinds = {
        "recall": retrieval.RetrievalRecall,
        "precision": retrieval.RetrievalPrecision,
        "hit_rate": retrieval.RetrievalHitRate,
        "ndcg": retrieval.RetrievalNormalizedDCG,
        "mrr": retrieval.RetrievalMRR,
    }
    found = {}
    for name, kind in kinds.items():
        metric = kind(top_k=10)
        metric.update(scores_BN.flatten(), relevant_BN.flatten(), users_BN.flatten())
        found[name] = float(metric.compute())
    return found


def rectools_metrics(scores_BN: Tensor, targets_BT: Tensor) -> dict[str, float]:
    """The same by RecTools, from its own table of recommendations (its making is counted: it is how one calls it)."""
    import pandas as pd
    from rectools import Columns
    from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics

    top = scores_BN.topk(10)
    users, k = top.indices.shape
    reco = pd.DataFrame(
        {
            Columns.User: torch.arange(users).repeat_interleave(k).numpy(),
            Columns.Item: top.indices.flatten().numpy(),
            Columns.Rank: torch.arange(1, k + 1).repeat(users).numpy(),
        }
    )
    targets = targets_BT.shape[1]
    truth = {Columns.User: torch.arange(users).repeat_interleave(targets).numpy(), Columns.Item: targets_BT.flatten()}
    kinds = {"recall": Recall, "precision": Precision, "hit_rate": HitRate, "ndcg": NDCG, "mrr": MRR, "map": MAP}
    asked = {name: kind(k=10) for name, kind in kinds.items()}
    asked["ndcg"] = NDCG(k=10, divide_by_achievable=True)  # else its ideal has k hits, however few are relevant
    found: dict[str, float] = calc_metrics(asked, reco, pd.DataFrame(truth))
    return found


def timed(action: Callable[[], dict[str, float]], rounds: int) -> tuple[float, dict[str, float]]:
    """Best wall time of some rounds, and the result."""
    best, result = float("inf"), {}
    for _ in range(rounds):
        started = time.perf_counter()
        result = action()
        best = min(best, time.perf_counter() - started)
    return best, result


def comparison() -> None:
    """Print the ratios, and the greatest difference of values."""
    case = small_case()
    own, mine = timed(lambda: ours(*case), 5)
    print(f"{SMALL[0]} users x {SMALL[1]} items, six accuracy metrics at 10: divrec {own:.3f} s")
    others = {"torchmetrics": torchmetrics_retrieval, "rectools": rectools_metrics}
    for name, action in others.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed")
            continue
        seconds, theirs = timed(lambda action=action: action(*case), 2)  # type: ignore[misc]
        apart = {key: abs(value - mine[key]) for key, value in theirs.items()}
        text = ", ".join(f"{key} {value:.1e}" for key, value in apart.items())
        print(f"{name:13} {seconds:.3f} s, {seconds / own:.0f} times as long; values differ by {text}")


def main() -> None:
    """Both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=22_363)
    parser.add_argument("--items", type=int, default=12_101)
    parser.add_argument("--k", type=int, nargs="+", default=[5, 10, 20])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    whole_evaluation(arguments.users, arguments.items, tuple(arguments.k))
    comparison()


if __name__ == "__main__":
    main()
