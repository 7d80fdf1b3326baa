"""Do the A/B intervals cover, and are false alarms as rare as promised? Random experiments on a simulated shop.

python benchmarks/abtest_simulation.py [--experiments 2000]. The shop is divrec's synthetic source: purchases and views
of its users in the first half of the log are the pre-period, those of the second half the outcome. Each experiment
assigns the same users anew by the deterministic hash. Half of the experiments treat nobody (A/A); in the others every
third user buys one more item when treated, so the true effect is known.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from divrec.analysis.abtest import (
    Assignment,
    Effect,
    always_valid_p,
    cuped,
    difference_of_means,
    difference_of_ratios,
    sample_ratio,
)
from divrec.data.sources.synthetic import PURCHASE, Synthetic

LOOKS = 14
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shop:
    """Purchases and views of each user before and after, and by how much a treatment would raise purchases."""

    users: list[str]
    before_U: Floats
    purchases_U: Floats
    views_U: Floats
    extra_U: Floats

    @classmethod
    def make(cls, users: int = 1200, seed: int = 0) -> Shop:
        """Read the synthetic source."""
        events = (
            Synthetic(users=users, items=300, days=60, categories=10, seed=seed, sessions=8, shown=10).read().events
        )
        table = events.to_pandas()
        late = table["timestamp"] >= table["timestamp"].median()
        bought = table["event"] == PURCHASE
        names = sorted(table["user_id"].unique())
        counts = [
            table[rows].groupby("user_id").size().reindex(names, fill_value=0).to_numpy(np.float64)
            for rows in (bought & ~late, bought & late, ~bought & late)
        ]
        extra = (np.random.default_rng(seed).random(len(names)) < 1 / 3).astype(np.float64)
        return cls(names, counts[0], counts[1], counts[2] + 1, extra)


@dataclass(frozen=True)
class Rates:
    """Shares over experiments: of intervals that hold the truth, and of p below .05 without any effect."""

    coverage: dict[str, float]
    false_alarms: dict[str, float]
    peeking: float
    always_valid: float
    mismatches: float
    narrower: float


def simulate(shop: Shop, experiments: int) -> Rates:
    """Run experiments without and with an effect."""
    covered: dict[str, list[bool]] = {"means": [], "ratios": [], "cuped": []}
    alarms: dict[str, list[bool]] = {"means": [], "ratios": [], "cuped": []}
    peeks, valid, mismatches, widths = [], [], [], []
    truth = {"means": shop.extra_U.mean(), "ratios": shop.extra_U.sum() / shop.views_U.sum()}
    truth["cuped"] = truth["means"]
    for number in range(experiments):
        assignment = Assignment(f"experiment {number}", {"control": 0.5, "treatment": 0.5})
        treated = np.asarray([assignment.arm(user) == "treatment" for user in shop.users])
        sizes = {"control": int((~treated).sum()), "treatment": int(treated.sum())}
        mismatches.append(sample_ratio(sizes, assignment.shares).mismatch)
        nothing = _effects(shop, shop.purchases_U, treated)
        something = _effects(shop, shop.purchases_U + treated * shop.extra_U, treated)
        for name, effect in nothing.items():
            alarms[name].append(effect.p < 0.05)
            found = something[name].difference
            covered[name].append(bool(found.low <= truth[name] <= found.high))
        widths.append(nothing["cuped"].standard_error / nothing["means"].standard_error)
        looks = _looks(shop, treated)
        peeks.append(any(look.p < 0.05 for look in looks))
        valid.append(bool(always_valid_p(looks, scale=0.3)[-1] < 0.05))
    return Rates(
        {name: float(np.mean(hits)) for name, hits in covered.items()},
        {name: float(np.mean(hits)) for name, hits in alarms.items()},
        float(np.mean(peeks)),
        float(np.mean(valid)),
        float(np.mean(mismatches)),
        float(1 - np.mean(widths)),
    )


def _effects(shop: Shop, outcome_U: Floats, treated: NDArray[np.bool_]) -> dict[str, Effect]:
    arms = (~treated, treated)
    outcomes = [outcome_U[arm] for arm in arms]
    return {
        "means": difference_of_means(outcomes[0], outcomes[1]),
        "ratios": difference_of_ratios((outcomes[0], shop.views_U[~treated]), (outcomes[1], shop.views_U[treated])),
        "cuped": cuped((outcomes[0], shop.before_U[~treated]), (outcomes[1], shop.before_U[treated]))[0],
    }


def _looks(shop: Shop, treated: NDArray[np.bool_]) -> list[Effect]:
    """The effect as users come in, looked at again and again."""
    found = []
    for share in np.linspace(1 / LOOKS, 1, LOOKS):
        upto = slice(0, int(share * len(treated)))
        arm, outcome = treated[upto], shop.purchases_U[upto]
        found.append(difference_of_means(outcome[~arm], outcome[arm]))
    return found


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=2000)
    arguments = parser.parse_args()
    rates, error = simulate(Shop.make(), arguments.experiments), (0.0475 / arguments.experiments) ** 0.5
    print(f"{arguments.experiments} experiments; standard error of a rate of 5 % is {error:.4f}")
    for name, coverage in rates.coverage.items():
        alarms = rates.false_alarms[name]
        print(f"{name:7} 95 % intervals hold the truth in {coverage:.3f}; false alarms at .05: {alarms:.3f}")
    print(f"{LOOKS} looks: false alarms {rates.peeking:.3f} by plain p, {rates.always_valid:.3f} by the always-valid p")
    print(f"CUPED narrows the interval by {rates.narrower:.0%}; sample ratio mismatches: {rates.mismatches:.4f}")


if __name__ == "__main__":
    main()
