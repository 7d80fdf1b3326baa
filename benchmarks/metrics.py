"""How long all metrics take at the size of Amazon Beauty, and how long others take for a part of them.

python benchmarks/metrics.py [--users 22363] [--items 12101] [--k 5 10 20]. One thread; scores are made batch by batch,
as a model would, and their making is not counted. The comparison runs torchmetrics' retrieval metrics and, where they
are installed (the environment of metric_parity.py), LensKit and RecTools on the same scores, in turn. divrec's time
includes ranking all items and finding ties; the two libraries are handed torch's top 10 in their own tables.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import time
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize

from divrec.batch import Catalogue
from divrec.metrics import MAP, MRR, NDCG, GroupMetrics, HitRate, Precision, Recall, SlateMetrics
from divrec.ranking import deliver, rank, tie_order

CATEGORIES, WIDTH, BATCH, HISTORY = 200, 128, 256, 9
SMALL = (2000, 1000)  # users and items of the comparison
Tables = tuple[pd.DataFrame, pd.DataFrame]


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


class Contender:
    """Accuracy metrics at 10 of some library, in two steps that are timed apart."""

    name = "divrec"

    def prepare(self, scores_BN: Tensor, targets_BT: Tensor) -> Any:  # noqa: ANN401 - whatever the library reads
        """From scores to what the library's metrics read: here a ranking."""
        return rank(scores_BN, targets_BT, None, 10, torch.arange(scores_BN.shape[1]))

    def measure(self, prepared: Any) -> dict[str, float]:  # noqa: ANN401
        """The metrics."""
        kinds = {"recall": Recall, "precision": Precision, "hit_rate": HitRate, "ndcg": NDCG, "mrr": MRR, "map": MAP}
        found = {}
        for name, kind in kinds.items():
            metric = kind(10)
            metric.update(prepared)
            found[name] = float(metric.compute())
        return found


class TorchMetrics(Contender):
    """Its retrieval metrics rank by themselves; its average precision is over the hits in the list: left out."""

    name = "torchmetrics"

    def prepare(self, scores_BN: Tensor, targets_BT: Tensor) -> Any:  # noqa: ANN401
        """A score, a relevance and a user for each pair."""
        relevant_BN = torch.zeros(scores_BN.shape, dtype=torch.bool).scatter(1, targets_BT, True)
        users_BN = torch.arange(len(scores_BN)).unsqueeze(-1).expand_as(relevant_BN)
        return scores_BN.flatten(), relevant_BN.flatten(), users_BN.flatten()

    def measure(self, prepared: Any) -> dict[str, float]:  # noqa: ANN401
        """The metrics."""
        from torchmetrics import retrieval

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
            metric.update(*prepared)
            found[name] = float(metric.compute())
        return found


def as_tables(scores_BN: Tensor, targets_BT: Tensor) -> Tables:
    """Recommendations and test items as data frames: what the libraries of lists want."""
    items_BK = scores_BN.topk(10).indices
    tables = []
    for items in (items_BK, targets_BT):
        users, width = items.shape
        tables.append(
            pd.DataFrame(
                {
                    "user_id": torch.arange(users).repeat_interleave(width).numpy(),
                    "item_id": items.flatten().numpy(),
                    "rank": torch.arange(1, width + 1).repeat(users).numpy(),
                }
            )
        )
    return tables[0], tables[1]


class RecTools(Contender):
    """All metrics in one call, which shares what they have in common."""

    name = "rectools"

    def prepare(self, scores_BN: Tensor, targets_BT: Tensor) -> Any:  # noqa: ANN401
        """Its two tables."""
        return as_tables(scores_BN, targets_BT)

    def measure(self, prepared: Any) -> dict[str, float]:  # noqa: ANN401
        """The metrics; MAP is over all relevant items, the same here, where there are fewer than 10."""
        from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics

        kinds = {"recall": Recall, "precision": Precision, "hit_rate": HitRate, "mrr": MRR, "map": MAP}
        asked = {name: kind(k=10) for name, kind in kinds.items()}
        asked["ndcg"] = NDCG(k=10, divide_by_achievable=True)  # else its ideal has k hits, however few are relevant
        found: dict[str, float] = calc_metrics(asked, prepared[0], prepared[1][["user_id", "item_id"]])
        return found


class LensKit(Contender):
    """One run analysis of all metrics."""

    name = "lenskit"

    def prepare(self, scores_BN: Tensor, targets_BT: Tensor) -> Any:  # noqa: ANN401
        """Its collections of item lists."""
        from lenskit.data import ItemListCollection, UserIDKey

        recommended, test = as_tables(scores_BN, targets_BT)
        test = test[["user_id", "item_id"]]
        return [ItemListCollection.from_df(each, UserIDKey) for each in (recommended, test)]

    def measure(self, prepared: Any) -> dict[str, float]:  # noqa: ANN401
        """The metrics; its recall is over min(k, relevant), the same here, where there are fewer than 10."""
        from lenskit.metrics import NDCG, Hit, LogRankWeight, Precision, Recall, RecipRank, RunAnalysis
        from lenskit.metrics.ranking import AveragePrecision

        asked = {
            "recall": Recall(10),
            "precision": Precision(10),
            "hit_rate": Hit(10),
            "ndcg": NDCG(10, weight=LogRankWeight(offset=1)),  # else the first two ranks weigh alike
            "mrr": RecipRank(10),
            "map": AveragePrecision(10),
        }
        analysis = RunAnalysis()
        for name, metric in asked.items():
            analysis.add_metric(metric, label=name)
        found: dict[str, float] = analysis.measure(*prepared).list_metrics().mean().to_dict()
        return found


def timed(contender: Contender, case: tuple[Tensor, Tensor], rounds: int) -> tuple[float, float, dict[str, float]]:
    """Least processor time of preparing and of measuring in some rounds, and the values."""
    preparing, measuring, values = float("inf"), float("inf"), {}
    for _ in range(rounds):
        started = time.process_time()
        prepared = contender.prepare(*case)
        between = time.process_time()
        values = contender.measure(prepared)
        preparing, measuring = min(preparing, between - started), min(measuring, time.process_time() - between)
    return preparing, measuring, values


def comparison() -> None:
    """Print times and their ratios, and the greatest difference of values."""
    case = small_case()
    preparing, measuring, mine = timed(Contender(), case, 20)
    size = f"{SMALL[0]} users x {SMALL[1]} items"
    print(f"{size}, accuracy metrics at 10 ({', '.join(mine)}), one thread, CPU time, best round")
    print(f"divrec        {preparing:.4f} s from scores to a ranking, {measuring:.4f} s to the values")
    for contender in (TorchMetrics(), LensKit(), RecTools()):
        if importlib.util.find_spec(contender.name) is None:
            print(f"{contender.name} is not installed")
            continue
        before, after, theirs = timed(contender, case, 10 if contender.name == "rectools" else 3)
        ratio, alone = (before + after) / (preparing + measuring), after / measuring
        apart = max(abs(value - mine[name]) for name, value in theirs.items())
        print(
            f"{contender.name:13} {before:.4f} s + {after:.4f} s, {ratio:.1f} times as long ({alone:.1f} times for the "
            f"metrics alone); values differ by {apart:.0e} at most ({', '.join(theirs)})"
        )


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
