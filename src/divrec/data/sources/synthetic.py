"""A seeded simulator of a shop: views, carts and purchases of users whose tastes are known.

U users, N items, C categories, S sessions, K items shown in a session, E events.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from divrec.data.sources.source import RawLog
from divrec.data.sources.vocabulary import BRANDS, PRODUCTS, QUALITIES
from divrec.errors import ConfigError
from divrec.schema import CATEGORIES, EVENT, ITEM_ID, TEXT, TIMESTAMP, USER_ID

VIEW, CART, PURCHASE = "view", "cart", "purchase"
SIMULATOR_VERSION = 1

_START = 1_704_067_200  # 2024-01-01, UTC
_DAY = 86_400
_TASTE = 0.25  # Dirichlet parameter: small = few categories a user
_POPULARITY = 0.8  # exponent of the Zipf law
_POSITION = 0.5  # the chance to be looked at falls as (position + 1) ** -0.5
_SECOND_CATEGORY = 0.1  # share of items in two categories


@dataclass(frozen=True)
class World:
    """What the simulated users act on.

    Attributes:
        tastes_UC: each user's taste over categories, rows sum to 1.
        categories_N: main category of each item.
        second_N: second category of each item, or -1.
        popularity_N: popularity of each item, sums to 1.
    """

    tastes_UC: NDArray[np.float64]
    categories_N: NDArray[np.int64]
    second_N: NDArray[np.int64]
    popularity_N: NDArray[np.float64]


class Synthetic:
    """Simulated views, carts and purchases with known tastes, popularity and position bias.

    In each session a user is shown a list, half of it by taste and half by what sells. Looking falls with the position;
    what is looked at is viewed, put into the cart and purchased with a chance that grows with the user's taste for the
    item's category. All events of a session carry the session's timestamp, as a basket does: so the first moment of a
    user-item pair tells how far the user went with the item, and with `repeats: first` the strongest kind of that
    moment is the event. Carts and purchases are good targets then (labels 0.5 and 1, say); views are history only.

    Args:
        users: number of users U.
        items: number of items N.
        days: length of the log.
        categories: number of categories C, at most 24.
        seed: of everything; the same seed gives the same log.
        sessions: mean number of sessions a user.
        shown: items shown in a session.

    Raises:
        ConfigError: a size that makes no sense.
    """

    name = "synthetic"

    def __init__(
        self,
        users: int = 2000,
        items: int = 800,
        days: int = 120,
        categories: int = 20,
        seed: int = 0,
        sessions: float = 20.0,
        shown: int = 20,
    ) -> None:
        self._sizes = {
            "users": users,
            "items": items,
            "days": days,
            "categories": categories,
            "sessions": sessions,
            "shown": shown,
        }
        for key, value in self._sizes.items():
            if value < 1:
                raise ConfigError("must be at least 1", where=f"data.source.{key}", got=value)
        if not categories <= min(items, len(PRODUCTS)):
            raise ConfigError(
                f"must be at most {len(PRODUCTS)} and at most the number of items",
                where="data.source.categories",
                got=categories,
            )
        self._users, self._items, self._days, self._categories = users, items, days, categories
        self._seed, self._sessions, self._shown = seed, sessions, shown

    def describe(self) -> dict[str, Any]:
        """Sizes, seed and their hash, which stands for the content."""
        facts = {"simulator": SIMULATOR_VERSION, **self._sizes, "seed": self._seed}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return {**facts, "content_hash": digest, "nature": "simulated"}

    def read(self) -> RawLog:
        """Simulate the whole log."""
        world = self.world()
        return RawLog(self._events(world), self._catalogue(world), self.describe())

    def world(self) -> World:
        """What the users of this seed act on: the truth that a recommender tries to find."""
        generator = np.random.default_rng([self._seed, 0])
        every = np.arange(self._categories)
        rest = generator.integers(self._categories, size=self._items - self._categories)
        categories_N = generator.permutation(np.concatenate([every, rest]))
        other_N = (categories_N + generator.integers(1, max(self._categories, 2), size=self._items)) % self._categories
        is_double = (generator.random(self._items) < _SECOND_CATEGORY) & (other_N != categories_N)
        weights = (1.0 + generator.permutation(self._items)) ** -_POPULARITY
        return World(
            tastes_UC=generator.dirichlet(np.full(self._categories, _TASTE), size=self._users),
            categories_N=categories_N,
            second_N=np.where(is_double, other_N, -1),
            popularity_N=weights / weights.sum(),
        )

    def _events(self, world: World) -> pa.Table:
        generator = np.random.default_rng([self._seed, 1])
        activity_U = generator.gamma(4.0, 0.25, size=self._users)
        sessions_U = 1 + generator.poisson(max(self._sessions - 1, 0) * activity_U)
        users_S = np.repeat(np.arange(self._users), sessions_U)
        times_S = _session_times(len(users_S), self._days, generator)
        shown_SK = _shown(world, users_S, self._shown, generator)

        looked_K = (1.0 + np.arange(self._shown)) ** -_POSITION
        affinity_UC = world.tastes_UC / world.tastes_UC.max(-1, keepdims=True)
        affinity_SK = affinity_UC[users_S[:, None], world.categories_N[shown_SK]]
        viewed_SK = generator.random(shown_SK.shape) < looked_K * (0.1 + 0.8 * affinity_SK)
        carted_SK = viewed_SK & (generator.random(shown_SK.shape) < 0.2 + 0.5 * affinity_SK)
        purchased_SK = carted_SK & (generator.random(shown_SK.shape) < 0.6)

        stages = [np.nonzero(done_SK) for done_SK in (viewed_SK, carted_SK, purchased_SK)]
        sessions_E = np.concatenate([stage[0] for stage in stages])
        items_E = np.concatenate([shown_SK[stage] for stage in stages])
        kinds_E = np.repeat(np.array([VIEW, CART, PURCHASE]), [len(stage[0]) for stage in stages])
        order = np.argsort(times_S[sessions_E], kind="stable")
        return pa.table(
            {
                USER_ID: _ids("u", self._users).take(pa.array(users_S[sessions_E][order])),
                ITEM_ID: _ids("i", self._items).take(pa.array(items_E[order])),
                TIMESTAMP: times_S[sessions_E][order],
                EVENT: pa.array(kinds_E[order], pa.string()),
            }
        )

    def _catalogue(self, world: World) -> pa.Table:
        generator = np.random.default_rng([self._seed, 2])
        names = list(PRODUCTS)[: self._categories]
        picks = generator.integers(1 << 16, size=(self._items, 4))
        texts, categories = [], []
        for main, second, (noun, quality, brand, size) in zip(world.categories_N, world.second_N, picks, strict=True):
            labels = [names[main]] if second < 0 else [names[main], names[second]]
            products = PRODUCTS[names[main]]
            title = f"{QUALITIES[quality % len(QUALITIES)]} {products[noun % len(products)]}"
            texts.append(f"{title} by {BRANDS[brand % len(BRANDS)]}, {' and '.join(labels)}, pack of {1 + size % 6}")
            categories.append(labels)
        columns = {ITEM_ID: _ids("i", self._items), TEXT: texts, CATEGORIES: categories}
        return pa.table(columns)


def _ids(prefix: str, count: int) -> pa.Array:
    return pa.array([f"{prefix}{number}" for number in range(count)])


def _session_times(count: int, days: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Start of each session: any day, mostly in the evening."""
    hours = np.clip(generator.normal(18.0, 4.0, size=count), 0.0, 23.99)
    return _START + generator.integers(days, size=count) * _DAY + (hours * 3600).astype(np.int64)


def _shown(world: World, users_S: NDArray[np.int64], shown: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Items of each session's list: a fair coin decides whether a place follows the user's taste or what sells.

    Within a category items are drawn by popularity. A list can show an item twice.
    """
    by_category = np.argsort(world.categories_N, kind="stable")
    cumulated = np.concatenate([[0.0], np.cumsum(world.popularity_N[by_category])])
    sizes = np.bincount(world.categories_N, minlength=world.tastes_UC.shape[1])
    bounds = cumulated[np.concatenate([[0], np.cumsum(sizes)])]
    limits_UC = np.cumsum(world.tastes_UC, axis=-1)
    draws = generator.random((len(users_S), shown))
    liked = np.zeros(draws.shape, dtype=np.int64)
    for limit_U in limits_UC[:, :-1].T:  # one pass a category
        liked += draws > limit_U[users_S][:, None]
    place = generator.random(draws.shape)
    by_taste = bounds[liked] + place * (bounds[liked + 1] - bounds[liked])
    target = np.where(generator.random(draws.shape) < 0.5, by_taste, place * cumulated[-1])
    positions = np.searchsorted(cumulated, target, side="right") - 1
    items: NDArray[np.int64] = by_category[np.clip(positions, 0, len(by_category) - 1)]
    return items
