"""Each greedy strategy against a loop that follows its definition, one user and one candidate at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from divrec.batch import Catalogue
from divrec.errors import ConfigError
from divrec.rerank import ExposureMMR
from divrec.similarity import similarity
from rerank.shop import configured, make_audience, make_catalogue, make_ranking

Row = list[float]
Gain = Callable[[int, Sequence[int]], float]


def _shares(items: Sequence[int], weights: Sequence[float], catalogue: Catalogue) -> Row:
    shares = [0.0] * catalogue.category_count
    for item, weight in zip(items, weights, strict=True):
        for category, part in zip(catalogue.categories_NJ[item], catalogue.category_weights_NJ[item], strict=True):
            shares[int(category)] += weight * float(part)
    total = sum(shares)
    return [share / total for share in shares] if total else [1 / len(shares)] * len(shares)


def _row(item: int, catalogue: Catalogue) -> Row:
    return _shares([item], [1.0], catalogue)


def _cosine(left: Row, right: Row) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True)) / (math.hypot(*left) * math.hypot(*right))


def _factor(item: int, catalogue: Catalogue) -> torch.Tensor:
    return torch.cat([catalogue.vectors_ND[item], torch.ones(1, dtype=torch.float64)]) / math.sqrt(2)


def _log_volume(chosen: Sequence[int], catalogue: Catalogue) -> float:
    factors = torch.stack([_factor(item, catalogue) for item in chosen])
    return float(torch.linalg.slogdet(factors @ factors.T)[1])


def _length_beyond(item: int, others: Sequence[int], catalogue: Catalogue) -> float:
    own = _factor(item, catalogue)
    if others:
        basis = torch.stack([_factor(other, catalogue) for other in others])
        own = own - basis.T @ torch.linalg.lstsq(basis.T, own.unsqueeze(-1), driver="gelsd").solution.squeeze(-1)
    return float(own.norm())


def _divergence(chosen: Sequence[int], history: Row, catalogue: Catalogue) -> float:
    share = _shares(chosen, [1.0] * len(chosen), catalogue)
    terms = [p * math.log(p / (0.99 * q + 0.01 * p)) for p, q in zip(history, share, strict=True) if p > 0]
    return sum(terms)


def _open_aspects(item: int, chosen: Sequence[int], history: Row, catalogue: Catalogue) -> float:
    return sum(
        q * 0.5 * a * math.prod(1 - 0.5 * _row(other, catalogue)[c] for other in chosen)
        for c, (q, a) in enumerate(zip(history, _row(item, catalogue), strict=True))
    )


def _seats(item: int, chosen: Sequence[int], history: Row, catalogue: Catalogue) -> float:
    held = [sum(_row(other, catalogue)[c] for other in chosen) for c in range(len(history))]
    quotients = [v / (2 * s + 1) for v, s in zip(history, held, strict=True)]
    leading = max(range(len(quotients)), key=lambda c: quotients[c])
    own = _row(item, catalogue)
    return sum((0.9 if c == leading else 0.1) * quotients[c] * own[c] for c in range(len(own)))


def _bonus(name: str, catalogue: Catalogue, history: Row) -> Gain:
    bonuses: dict[str, Gain] = {
        "msd": lambda i, chosen: sum(1 - float(catalogue.vectors_ND[i] @ catalogue.vectors_ND[j]) for j in chosen),
        "msd_category": lambda i, chosen: sum(1 - _cosine(_row(i, catalogue), _row(j, catalogue)) for j in chosen),
        "dpp": lambda i, chosen: (
            _log_volume([*chosen, i], catalogue) - (_log_volume(chosen, catalogue) if chosen else 0)
        ),
        "ssd": lambda i, chosen: _length_beyond(i, chosen, catalogue),
        "calibrated": lambda i, chosen: -_divergence([*chosen, i], history, catalogue),
        "xquad": lambda i, chosen: _open_aspects(i, chosen, history, catalogue),
        "pm2": lambda i, chosen: _seats(i, chosen, history, catalogue),
    }
    return bonuses[name]


@pytest.mark.parametrize("name", ["msd", "msd_category", "dpp", "ssd", "calibrated", "xquad", "pm2"])
@given(
    size=st.integers(6, 20),
    k=st.integers(1, 5),  # vectors are five wide, so six items span everything
    diversity=st.sampled_from([0.05, 0.3, 0.5, 0.85, 1.0]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=25, deadline=None)
def test_equals_a_greedy_loop(name: str, size: int, k: int, diversity: float, seed: int) -> None:
    ranking, catalogue = make_ranking(2, size, 12, seed), make_catalogue(size, seed)
    audience = make_audience(2, size, seed)
    slate = configured(name, diversity, pool=12)(ranking, catalogue, k, audience)
    for user in range(2):
        pool = [item for item in ranking.items_BM[user].tolist() if item >= 0]
        scores = ranking.scores_BM[user, : len(pool)]
        spread = float(scores.std(correction=0)) if len(pool) > 1 else 0.0
        relevance = dict(zip(pool, ((scores - scores.mean()) / (spread or 1)).tolist(), strict=True))
        seen = [item for item in audience.seen_BS[user].tolist() if item < size]
        weights = [
            w for w, i in zip(audience.history_BS[user].tolist(), audience.seen_BS[user], strict=True) if i < size
        ]
        bonus = _bonus(name, catalogue, _shares(seen, weights, catalogue))
        chosen: list[int] = []
        for place in range(min(k, len(pool))):
            gains = {
                item: (1 - diversity) * relevance[item] + diversity * bonus(item, chosen)
                for item in pool
                if item not in chosen
            }
            picked = int(slate.items_BK[user, place])
            assert gains[picked] == pytest.approx(max(gains.values()), abs=1e-6)
            chosen.append(picked)


def test_a_window_forgets_what_fell_out() -> None:
    """Three directions and a fourth item like the first: it is new again once the first has left the window."""
    catalogue = make_catalogue(6)
    vectors_ND = torch.eye(6, dtype=torch.float64)[:, :5].contiguous()
    vectors_ND[3:] = torch.nn.functional.normalize(vectors_ND[:3] + 0.01 * vectors_ND[[4, 4, 4]], dim=-1)
    catalogue = Catalogue(vectors_ND, catalogue.categories_NJ, catalogue.category_weights_NJ, 5, catalogue.counts_N)
    ranking = make_ranking(1, 6, 6)
    ranking = type(ranking)(
        torch.arange(6).unsqueeze(0),
        torch.arange(6, 0, -1).double().unsqueeze(0),
        ranking.targets_BT,
        ranking.above_BT,
        ranking.ties_BT,
        ranking.candidates_B,
    )
    forgetful = configured("ssd", 1.0, window=2)(ranking, catalogue, 4).items_BK[0].tolist()
    assert forgetful[:3] == [0, 1, 2]
    assert forgetful[3] == 3  # near item 0, which left the window when item 2 came


def test_calibration_follows_the_history() -> None:
    catalogue, ranking = make_catalogue(40), make_ranking(1, 40, 40)
    audience = make_audience(1, 40)
    audience.seen_BS[0, 0], audience.history_BS[0, 0] = 1, 1.0
    only = int(catalogue.categories_NJ[1, 0])
    lists = configured("calibrated", 1.0)(ranking, catalogue, 4, audience).items_BK[0]
    assert (catalogue.categories_NJ[lists, 0] == only).all()


def test_popularity_discount_turns_to_the_long_tail() -> None:
    ranking, catalogue = make_ranking(30, 60, 60), make_catalogue(60)
    means = [
        float(catalogue.counts_N[configured("popularity_discount", d)(ranking, catalogue, 8).items_BK].double().mean())
        for d in (0, 0.3, 0.6, 1)
    ]
    assert means == sorted(means, reverse=True)
    least = configured("popularity_discount", 1)(ranking, catalogue, 1).items_BK
    for user in range(30):
        pool = ranking.items_BM[user][ranking.items_BM[user] >= 0]
        assert int(catalogue.counts_N[least[user, 0]]) == int(catalogue.counts_N[pool].min())


def test_exposure_equals_a_loop_over_users() -> None:
    ranking, catalogue, k = make_ranking(25, 30, 20), make_catalogue(30), 4
    slate = configured("exposure", 0.4)(ranking, catalogue, k)
    shown = [0] * 30
    for user in range(25):
        pool = [item for item in ranking.items_BM[user].tolist() if item >= 0]
        scores = ranking.scores_BM[user, : len(pool)]
        standard = ((scores - scores.mean()) / scores.std(correction=0)).tolist()
        gains = [0.6 * z - 0.4 * math.log(1 + shown[i]) for z, i in zip(standard, pool, strict=True)]
        order = sorted(range(len(pool)), key=lambda place: (-gains[place], place))[:k]
        expected = [pool[place] for place in order]
        assert [item for item in slate.items_BK[user].tolist() if item >= 0] == expected
        for item in expected:
            shown[item] += 1
    assert max(shown) > 1


def test_exposure_remembers_over_batches_until_a_new_start() -> None:
    ranking, catalogue = make_ranking(12, 30, 20), make_catalogue(30)
    whole = configured("exposure", 0.5)(ranking, catalogue, 4).items_BK
    parts = configured("exposure", 0.5)
    halves = [
        type(ranking)(*(getattr(ranking, name)[part] for name in ranking.__dataclass_fields__))
        for part in (slice(0, 5), slice(5, 12))
    ]
    assert torch.equal(torch.cat([parts(half, catalogue, 4).items_BK for half in halves]), whole)
    parts.start()
    assert torch.equal(parts(halves[0], catalogue, 4).items_BK, whole[:5])


def test_exposure_evens_out_what_is_shown() -> None:
    catalogue, scores_BM = make_catalogue(50), torch.arange(50, 0, -1).double().expand(40, -1)
    ranking = make_ranking(40, 50, 50)
    ranking = type(ranking)(
        torch.arange(50).expand(40, -1),
        scores_BM,
        ranking.targets_BT,
        ranking.above_BT,
        ranking.ties_BT,
        ranking.candidates_B,
    )
    shown = [len(configured("exposure", d)(ranking, catalogue, 5).items_BK.unique()) for d in (0, 0.3, 1)]
    assert shown[0] == 5
    assert shown[0] < shown[1] < shown[2] == 50


def test_mmr_with_a_price_of_exposure_equals_a_loop_over_users() -> None:
    ranking, catalogue, k = make_ranking(25, 30, 20), make_catalogue(30), 4
    slate = ExposureMMR(0.6, exposure=0.5)(ranking, catalogue, k)
    similar_NN = similarity(catalogue.vectors_ND, catalogue.vectors_ND).double()
    shown = [0] * 30
    for user in range(25):
        pool = [item for item in ranking.items_BM[user].tolist() if item >= 0]
        scores = ranking.scores_BM[user, : len(pool)]
        standard = ((scores - scores.mean()) / scores.std(correction=0)).tolist()
        expected: list[int] = []
        while len(expected) < k:
            gains = {
                item: 0.4 * z
                - 0.6 * max((float(similar_NN[item, other]) for other in expected), default=0)
                - 0.6 * 0.5 * math.log(1 + shown[item])
                for z, item in zip(standard, pool, strict=True)
                if item not in expected
            }
            expected.append(max(gains, key=lambda item: gains[item]))
        assert slate.items_BK[user].tolist() == expected
        for item in expected:
            shown[item] += 1
    assert max(shown) > 1


def test_without_a_price_of_exposure_it_is_mmr() -> None:
    ranking, catalogue = make_ranking(25, 30, 20), make_catalogue(30)
    priceless = ExposureMMR(0.6, exposure=0)
    assert priceless.name == "exposure_mmr_0"
    assert torch.equal(
        priceless(ranking, catalogue, 5).items_BK, configured("mmr", 0.6)(ranking, catalogue, 5).items_BK
    )


def test_a_price_of_exposure_is_no_negative_number() -> None:
    with pytest.raises(ConfigError, match="exposure"):
        ExposureMMR(0.5, exposure=-1)


def test_temperature_draws_from_the_softmax() -> None:
    size, users = 4, 20_000
    scores = torch.tensor([3.0, 2.0, 1.5, 0.0], dtype=torch.float64)
    ranking = make_ranking(1, size, size)
    ranking = type(ranking)(
        torch.arange(size).expand(users, -1),
        scores.expand(users, -1),
        *(torch.zeros(users, 1, dtype=torch.int64),) * 3,
        torch.full((users,), size),
    )
    audience = make_audience(users, size)
    first = configured("temperature", 0.5)(ranking, make_catalogue(size), 2, audience).items_BK[:, 0]
    standard = (scores - scores.mean()) / scores.std(correction=0)
    chance = standard.softmax(0)
    found = torch.bincount(first, minlength=size) / users
    assert float((found - chance).abs().max()) < 5 * 0.5 / users**0.5
    again = configured("temperature", 0.5, seed=1)(ranking, make_catalogue(size), 2, audience).items_BK[:, 0]
    assert not torch.equal(first, again)
