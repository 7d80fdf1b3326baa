"""Do the A/B intervals cover, and are false alarms as rare as promised? Random experiments on a simulated shop.

python benchmarks/abtest_simulation.py    measures and writes docs/results/abtest.csv and abtest.md (under a minute)

All users come from divrec's synthetic source: purchases and views of the first half of its log are the pre-period,
those of the second half the outcome. An experiment draws users from that shop anew and assigns them by the
deterministic hash. Each is analyzed without any effect (A/A), and with one that is known: every third user buys one
more item when treated. Estimates from logs learn from the shop's own views, whose propensities the simulator's tastes
give.

Shapes: U users, E events, C categories.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from divrec.analysis.abtest import (
    MINIMUM_USERS,
    Assignment,
    Effect,
    LoggedEvents,
    always_valid_interval,
    always_valid_p,
    cuped,
    difference_of_list_diversity,
    difference_of_means,
    difference_of_ratios,
    difference_of_set_diversity,
    doubly_robust,
    inverse_propensity,
    sample_ratio,
    self_normalized,
)
from divrec.analysis.statistics import Interval
from divrec.data.sources.synthetic import PURCHASE, VIEW, Synthetic
from divrec.schema import CATEGORIES, ITEM_ID, TIMESTAMP, USER_ID
from divrec.storage import write_text

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "abtest.csv"
LOOKS = 14
ITEMS = 300
RARE = 0.97  # quantile of purchases above which a user is one of the few
SCALES = {"purchases": 0.3, "rare": 0.02}  # effects that an experimenter would expect
ARMS = ("control", "treatment")
COVERAGE, ALARMS, NARROWER = "holds the truth", "false alarms", "interval narrower by"
EXACT, AT_LEAST, AT_MOST, NONE = "=", "at least", "at most", "none"
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Shop:
    """Purchases and views of each user before and after, and by how much a treatment would raise purchases.

    `rare_U` is a seldom 0/1 outcome (who buys most), `extra_rare_U` whom a treatment would add to it.
    """

    log: pd.DataFrame
    catalogue: pd.DataFrame
    users: list[str]
    before_U: Floats
    purchases_U: Floats
    views_U: Floats
    extra_U: Floats
    rare_U: Floats
    extra_rare_U: Floats

    @classmethod
    def make(cls, users: int = 1200, seed: int = 0) -> Shop:
        """Read the synthetic source."""
        raw = _source(users, seed).read()
        table = raw.events.to_pandas()
        late = table[TIMESTAMP] >= table[TIMESTAMP].median()
        bought = table["event"] == PURCHASE
        names = sorted(table[USER_ID].unique())
        before, purchases, views = (
            table[rows].groupby(USER_ID).size().reindex(names, fill_value=0).to_numpy(np.float64)
            for rows in (bought & ~late, bought & late, ~bought & late)
        )
        random = np.random.default_rng(seed)
        extra = (random.random(len(names)) < 1 / 3).astype(np.float64)
        rare = (purchases > np.quantile(purchases, RARE)).astype(np.float64)
        extra_rare = (random.random(len(names)) < 0.01) * (1 - rare)
        log, catalogue = table.loc[late, [USER_ID, ITEM_ID]], raw.catalogue.to_pandas()[[ITEM_ID, CATEGORIES]]
        return cls(log, catalogue, names, before, purchases, views + 1, extra, rare, extra_rare)


class Tally:
    """Hits of each rate, and what was promised."""

    def __init__(self) -> None:
        self._promised: dict[tuple[str, str], tuple[str, float]] = {}
        self._hits: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, name: str, kind: str, hit: float, promise: str = EXACT, nominal: float | None = None) -> None:
        """Count one trial."""
        default = {COVERAGE: 0.95, ALARMS: 0.05}.get(kind, np.nan)
        self._promised[name, kind] = (promise, default if nominal is None else nominal)
        self._hits[name, kind].append(float(hit))

    def table(self) -> pd.DataFrame:
        """A row a rate, with the error that it has at its promise, and whether it is within two of them."""
        rows = []
        for (name, kind), (promise, nominal) in self._promised.items():
            hits = np.asarray(self._hits[name, kind])
            spread = hits.std() if np.isnan(nominal) else np.sqrt(nominal * (1 - nominal))
            rate, error = float(hits.mean()), float(spread / np.sqrt(len(hits)))
            rows.append(
                (name, kind, promise, nominal, rate, error, len(hits), _verdict(kind, promise, rate - nominal, error))
            )
        names = ["what", "rate_of", "promise", "nominal", "rate", "monte_carlo_error", "trials", "verdict"]
        return pd.DataFrame(rows, columns=names)


def _verdict(kind: str, promise: str, excess: float, error: float) -> str:
    low, high = excess < -2 * error, excess > 2 * error
    safe, unsafe = (high, low) if kind == COVERAGE else (low, high)
    if promise == NONE:
        return "none given"
    if unsafe:
        return "broken"
    return "kept, on the safe side" if safe and promise == EXACT else "kept"


def simulate(shop: Shop, experiments: int, tally: Tally) -> None:
    """Run experiments without and with an effect."""
    random = np.random.default_rng(0)
    for number in range(experiments):
        assignment = Assignment(f"experiment {number}", dict.fromkeys(ARMS, 0.5))
        treated = np.asarray([assignment.arm(user) == "treatment" for user in shop.users])
        sizes = {"control": int((~treated).sum()), "treatment": int(treated.sum())}
        tally.add("sample ratio", ALARMS, sample_ratio(sizes, assignment.shares).mismatch, AT_MOST, 0.001)
        drawn = random.integers(0, len(shop.users), len(shop.users))
        _at_the_end(shop, drawn, treated, tally)
        for name, outcome_U, extra_U in (
            ("purchases", shop.purchases_U, shop.extra_U),
            ("rare", shop.rare_U, shop.extra_rare_U),
        ):
            _at_every_look(name, outcome_U[drawn], extra_U[drawn] * treated, float(extra_U.mean()), treated, tally)


def _at_the_end(shop: Shop, drawn: NDArray[np.int64], treated: Booleans, tally: Tally) -> None:
    truth = {
        "difference of means": shop.extra_U.mean(),
        "difference of ratios": shop.extra_U.sum() / shop.views_U.sum(),
    }
    truth["CUPED"] = shop.extra_U.mean()
    nothing = _effects(shop, drawn, shop.purchases_U[drawn], treated)
    something = _effects(shop, drawn, shop.purchases_U[drawn] + treated * shop.extra_U[drawn], treated)
    for name, effect in nothing.items():
        tally.add(name, COVERAGE, _holds(something[name].difference, truth[name]))
        tally.add(name, ALARMS, effect.p < 0.05)
    narrower = 1 - nothing["CUPED"].standard_error / nothing["difference of means"].standard_error
    tally.add("CUPED", NARROWER, narrower, NONE)


def _effects(shop: Shop, drawn: NDArray[np.int64], outcome_U: Floats, treated: Booleans) -> dict[str, Effect]:
    outcomes, views, before = (
        (values[~treated], values[treated]) for values in (outcome_U, shop.views_U[drawn], shop.before_U[drawn])
    )
    return {
        "difference of means": difference_of_means(*outcomes),
        "difference of ratios": difference_of_ratios(*zip(outcomes, views, strict=True)),
        "CUPED": cuped(*zip(outcomes, before, strict=True))[0],
    }


def _at_every_look(
    outcome: str, values_U: Floats, gained_U: Floats, truth: float, treated: Booleans, tally: Tally
) -> None:
    """The effect as users come in, looked at again and again; one miss at any look is a miss."""
    scale, where = SCALES[outcome], f"{LOOKS} looks, {outcome}"
    nothing, something = _looks(values_U, treated), _looks(values_U + gained_U, treated)
    for name, intervals in (
        ("always-valid", [always_valid_interval(look, scale) for look in something]),
        ("plain interval", [look.difference for look in something]),
    ):
        promise = AT_LEAST if name == "always-valid" else NONE
        tally.add(f"{name}, {where}", COVERAGE, all(_holds(interval, truth) for interval in intervals), promise)
    tally.add(f"always-valid, {where}", ALARMS, always_valid_p(nothing, scale)[-1] < 0.05, AT_MOST)
    tally.add(f"plain interval, {where}", ALARMS, any(look.p < 0.05 for look in nothing), NONE)


def _looks(values_U: Floats, treated: Booleans) -> list[Effect]:
    borders = [int(share * len(treated)) for share in np.linspace(1 / LOOKS, 1, LOOKS)]
    return [difference_of_means(values_U[:n][~treated[:n]], values_U[:n][treated[:n]]) for n in borders]


def simulate_shown(shop: Shop, experiments: int, tally: Tally) -> None:
    """A/A tests of the diversity of what users saw: the difference is 0."""
    random, seeing = np.random.default_rng(1), shop.log[USER_ID].unique()
    for number in range(experiments):
        assignment = Assignment(f"shown {number}", {"control": 0.35, "treatment": 0.65})
        users = pd.DataFrame({USER_ID: seeing, "arm": [assignment.arm(user) for user in seeing]})
        sets = difference_of_set_diversity(shop.log, users, ARMS, ITEMS, random)
        for row in sets.itertuples():
            tally.add(f"shown, set level: {row.measure}", COVERAGE, _holds(Interval(0, row.low, row.high), 0))
        for name, effect in difference_of_list_diversity(shop.log, users, shop.catalogue, ARMS).items():
            tally.add(f"shown, list level: {name}", COVERAGE, _holds(effect.difference, 0))


def simulate_policies(logs: int, users: int, tally: Tally, seed: int = 1) -> None:
    """Worth of a policy that spreads views over categories, estimated from logs of as many users."""
    for log in logged_views(logs, users, seed):
        estimates = {
            "IPS": inverse_propensity(log.events),
            "SNIPS": self_normalized(log.events),
            "doubly robust": doubly_robust(log.events, log.predicted_E, log.expected_E),
        }
        for name, interval in estimates.items():
            tally.add(f"{name}, {users} users", COVERAGE, _holds(interval, log.truth))


@dataclass(frozen=True)
class ViewLog:
    """A log of views, a predictor's guesses, and what the new policy is worth."""

    events: LoggedEvents
    predicted_E: Floats
    expected_E: Floats
    truth: float


def logged_views(logs: int, users: int, seed: int) -> Iterator[ViewLog]:
    """Cut the views of one great shop into logs of so many users each.

    An event is a view, the action its category, the reward 1 if the item was purchased then. Given the user, a view's
    category is drawn in proportion to how often it is shown (half by taste, half by what sells) times how often it is
    looked at, and purchases depend on the category alone: the chances of `divrec.data.sources.synthetic`. The new
    policy takes square roots of the shop's propensities; the predictor mistakes taste for relative taste.
    """
    source = _source(logs * users, seed)
    world = source.world()
    relative_UC = world.tastes_UC / world.tastes_UC.max(1, keepdims=True)
    sells_C = np.bincount(world.categories_N, weights=world.popularity_N, minlength=relative_UC.shape[1])
    logged_UC = _normalized((world.tastes_UC + sells_C) / 2 * (0.1 + 0.8 * relative_UC))
    target_UC = _normalized(np.sqrt(logged_UC))
    worth_UC, guess_UC = (0.6 * (0.2 + 0.5 * taste_UC) for taste_UC in (relative_UC, world.tastes_UC))
    user_E, item_E, rewards_E = _views(source)
    category_E = world.categories_N[item_E]
    truth = float((target_UC * worth_UC).sum(1)[user_E].mean())
    expected_U = (target_UC * guess_UC).sum(1)
    borders = np.searchsorted(user_E, np.arange(0, logs * users + 1, users))
    for start, end in zip(borders[:-1], borders[1:], strict=True):
        rows, chosen = slice(start, end), (user_E[start:end], category_E[start:end])
        events = LoggedEvents(rewards_E[rows], logged_UC[chosen], target_UC[chosen], chosen[0])
        yield ViewLog(events, guess_UC[chosen], expected_U[chosen[0]], truth)


def _views(source: Synthetic) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """User, item and reward of each view, by user."""
    table = source.read().events.to_pandas()
    for column in (USER_ID, ITEM_ID):
        table[column] = table[column].str[1:].astype(np.int64)
    key = [USER_ID, TIMESTAMP, ITEM_ID]
    views, bought = (table[table["event"] == kind] for kind in (VIEW, PURCHASE))
    counts = bought.groupby(key).size().rename("bought").reset_index()
    views = views.merge(counts, on=key, how="left").sort_values(USER_ID, kind="stable")
    # an item that was shown twice has two views, and as many rewards as purchases
    rewards = views.groupby(key).cumcount() < views["bought"].fillna(0)
    return views[USER_ID].to_numpy(), views[ITEM_ID].to_numpy(), rewards.to_numpy(np.float64)


def _source(users: int, seed: int) -> Synthetic:
    return Synthetic(users=users, items=ITEMS, days=60, categories=10, seed=seed, sessions=8, shown=10)


def _normalized(weights_UC: Floats) -> Floats:
    return weights_UC / weights_UC.sum(1, keepdims=True)


def _holds(interval: Interval, truth: float) -> bool:
    return bool(interval.low <= truth <= interval.high)


def page(table: pd.DataFrame) -> str:
    """docs/results/abtest.md."""
    rows = [
        f"| {row.what} | {row.rate_of} | {'none' if row.promise == NONE else f'{row.promise} {row.nominal:g}'} | "
        f"{row.rate:.3f} | {row.monte_carlo_error:.4f} | {row.trials} | {row.verdict} |"
        for row in table.itertuples()
    ]
    return "\n".join([HEAD, *rows, ""])


HEAD = f"""# A/B tests: are intervals and false alarms as promised?

Built by `python benchmarks/abtest_simulation.py` from [abtest.csv](abtest.csv), which it measures on the simulated
shop (the source of `data=synthetic`, seeds 0 and 1). Every experiment draws 1,200 users from the shop and assigns them
by the hash. It is analyzed without an effect (false alarms at .05) and with a known one (95 % intervals that hold it).

- "Purchases" are counted; "rare" is a 0/1 outcome of some 2 % of the users.
- {LOOKS} looks: after each fourteenth of the users, and one miss at any look is a miss. Always-valid looks at fewer
  than {MINIMUM_USERS} users an arm say nothing. Plain intervals promise nothing for several looks: a contrast.
- "Shown" compares what arms of 35 and 65 % of the same 400 users viewed, where nothing differs.
- IPS, SNIPS and doubly robust learn from the views of so many users what another policy would earn; users are clusters.

The error is the standard deviation that a rate at its promise has with so many trials; "kept" allows two of them, and
among some twenty rates one or so lies beyond by chance. The always-valid interval is wider than {LOOKS} looks need, for
it holds at any number of them; that of set-level coverage is wider here than promised.

| what | rate of | promised | measured | its error | trials | promise |
| --- | --- | --: | --: | --: | --: | --- |"""


def measure(experiments: int) -> pd.DataFrame:
    """All rates."""
    tally = Tally()
    simulate(Shop.make(), experiments, tally)
    simulate_shown(Shop.make(users=400), experiments // 4, tally)
    for users in (50, 200):
        simulate_policies(50 * experiments // users, users, tally)
    return tally.table()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=800, help="at least 4")
    table = measure(parser.parse_args().experiments)
    print(table.to_string(index=False))
    write_text(RESULTS, table.to_csv(index=False, float_format="%.6g"))
    write_text(RESULTS.with_suffix(".md"), page(pd.read_csv(RESULTS)))


if __name__ == "__main__":
    main()
