"""What every strategy of conf/rerank keeps: a new file there is picked up by itself."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from divrec.batch import Slate
from divrec.errors import ConfigError
from divrec.ranking import deliver
from divrec.rerank import strategy as shared
from rerank.shop import CONF, NAMES, audience_rows, configured, make_audience, make_catalogue, make_ranking, rows

STATEFUL = {"exposure", "exposure_mmr"}  # its users see each other, by design
every_strategy = pytest.mark.parametrize("name", NAMES)


def _lists(name: str, diversity: float, users: int = 6, size: int = 25, k: int = 5) -> Slate:
    return configured(name, diversity)(
        make_ranking(users, size, 15, seed=3, lowest=0.2), make_catalogue(size), k, make_audience(users, size)
    )


def test_the_suite_is_not_empty() -> None:
    assert len(NAMES) >= 11
    assert OmegaConf.load(CONF / "none.yaml") == {}


@every_strategy
def test_the_file_is_keyed_by_its_own_name_and_gives_a_grid(name: str) -> None:
    config = OmegaConf.load(CONF / f"{name}.yaml")
    assert list(config) == [name]
    assert len(config[name].diversity) >= 3
    assert sorted(config[name].diversity) == list(config[name].diversity)
    for strength in config[name].diversity:
        built = configured(name, strength)
        assert (built.name, built.diversity) == (name, strength)


@every_strategy
@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_no_diversity_is_the_ranking_as_it_came(name: str, size: int, k: int, seed: int) -> None:
    ranking = make_ranking(2, size, 10, seed, lowest=0.2)
    slate = configured(name, 0)(ranking, make_catalogue(size), k, make_audience(2, size))
    assert torch.equal(slate.items_BK, deliver(ranking, k).items_BK)
    assert torch.equal(slate.scores_BK, deliver(ranking, k).scores_BK)


@every_strategy
@pytest.mark.parametrize("diversity", [1e-9, 0.4, 1.0])
@given(st.integers(1, 20), st.integers(1, 6), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_lists_hold_distinct_candidates_with_their_own_scores(
    name: str, diversity: float, size: int, k: int, lowest: float, seed: int
) -> None:
    ranking = make_ranking(3, size, 10, seed, lowest)
    slate = configured(name, diversity)(ranking, make_catalogue(size), k, make_audience(3, size))
    for user in range(3):
        scores = dict(zip(ranking.items_BM[user].tolist(), ranking.scores_BM[user].tolist(), strict=True))
        listed = [item for item in slate.items_BK[user].tolist() if item >= 0]
        assert len(set(listed)) == len(listed) == min(k, sum(item >= 0 for item in scores))
        assert (slate.items_BK[user, len(listed) :] == -1).all()
        expected = [scores[item] for item in listed] + [-math.inf] * (k - len(listed))
        assert slate.scores_BK[user].tolist() == expected
        finite = [score > -math.inf for score in expected]
        assert sum(finite) == min(k, sum(score > -math.inf for score in scores.values()))
        assert finite == sorted(finite, reverse=True)  # what is scored -inf comes behind


@every_strategy
def test_next_to_no_diversity_changes_nothing(name: str) -> None:
    ranking, catalogue = make_ranking(6, 25, 15, seed=3), make_catalogue(25)
    slate = configured(name, 1e-6)(ranking, catalogue, 5, make_audience(6, 25))
    assert torch.equal(slate.items_BK, deliver(ranking, 5).items_BK)


@every_strategy
def test_the_knob_moves_lists_away_from_the_ranking(name: str) -> None:
    scores = [_lists(name, d, users=80).scores_BK for d in (0, 0.05, 0.5, 1.0)]
    means = [float(each[each.isfinite()].mean()) for each in scores]
    assert means == sorted(means, reverse=True)
    assert means[0] > means[3]


@every_strategy
def test_same_call_same_lists_after_a_new_start(name: str) -> None:
    strategy = configured(name, 0.6)
    arguments = (make_ranking(6, 25, 15), make_catalogue(25), 5, make_audience(6, 25))
    first = strategy(*arguments).items_BK
    strategy.start()
    assert torch.equal(strategy(*arguments).items_BK, first)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in STATEFUL])
def test_users_do_not_see_each_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ranking, catalogue, audience = make_ranking(7, 20, 15), make_catalogue(20), make_audience(7, 20)
    strategy, order = configured(name, 0.5), torch.tensor([4, 0, 6, 2, 5, 1, 3])
    whole = strategy(ranking, catalogue, 5, audience).items_BK
    moved = strategy(rows(ranking, order), catalogue, 5, audience_rows(audience, order)).items_BK
    assert torch.equal(moved, whole[order])
    monkeypatch.setattr(shared, "_CHUNK", 160)
    assert torch.equal(strategy(ranking, catalogue, 5, audience).items_BK, whole)


@every_strategy
def test_chunks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _lists(name, 0.5).items_BK
    monkeypatch.setattr(shared, "_CHUNK", 160)
    assert torch.equal(_lists(name, 0.5).items_BK, whole)


@every_strategy
def test_nothing_of_the_users_is_kept(name: str) -> None:
    strategy = configured(name, 0.5)  # a grid of many strategies ranks the same users, each with what it keeps
    strategy(make_ranking(40, 25, 15), make_catalogue(25), 5, make_audience(40, 25))
    kept = {key: len(value.flatten()) for key, value in vars(strategy).items() if hasattr(value, "flatten")}
    assert all(size <= 25 for size in kept.values()), kept


@every_strategy
def test_names_of_items_do_not_matter(name: str) -> None:
    ranking, catalogue, audience = make_ranking(5, 20, 12), make_catalogue(20), make_audience(5, 20)
    order_N = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    name_N = torch.cat([order_N.argsort(), torch.tensor([20, -1])])  # padding of histories, and of rankings
    columns = ("vectors_ND", "categories_NJ", "category_weights_NJ", "counts_N")
    renamed = dataclasses.replace(catalogue, **{each: getattr(catalogue, each)[order_N] for each in columns})
    moved = dataclasses.replace(ranking, items_BM=name_N[ranking.items_BM])
    lists = configured(name, 0.5)(ranking, catalogue, 5, audience).items_BK
    told = dataclasses.replace(audience, seen_BS=name_N[audience.seen_BS])
    assert torch.equal(configured(name, 0.5)(moved, renamed, 5, told).items_BK, name_N[lists])


@every_strategy
def test_zscore_does_not_ask_for_the_scale_of_the_scores(name: str) -> None:
    ranking, catalogue, audience = make_ranking(3, 20, 20), make_catalogue(20), make_audience(3, 20)
    scaled = dataclasses.replace(ranking, scores_BM=ranking.scores_BM / 500 - 3)
    lists = [configured(name, 0.6)(each, catalogue, 5, audience).items_BK for each in (ranking, scaled)]
    assert torch.equal(*lists)


@every_strategy
def test_equal_scores_of_equal_items_keep_the_order_of_the_ranking(name: str) -> None:
    if name == "temperature":
        pytest.skip("chance breaks these ties")
    catalogue = make_catalogue(6)
    same = dataclasses.replace(
        catalogue,
        vectors_ND=catalogue.vectors_ND[:1].expand(6, -1).contiguous(),
        categories_NJ=torch.ones(6, 1, dtype=torch.int64),
        category_weights_NJ=torch.ones(6, 1, dtype=torch.float64),
        counts_N=torch.full((6,), 4),
    )
    ranking = make_ranking(1, 6, 6)
    level = dataclasses.replace(ranking, scores_BM=torch.ones(1, 6, dtype=torch.float64))
    slate = configured(name, 0.5)(level, same, 6, make_audience(1, 6))
    assert torch.equal(slate.items_BK, ranking.items_BM)


@every_strategy
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_scores_and_vectors_of_any_precision(name: str, dtype: torch.dtype) -> None:
    ranking, catalogue = make_ranking(4, 20, 12), make_catalogue(20)
    slate = configured(name, 0.5)(
        dataclasses.replace(ranking, scores_BM=ranking.scores_BM.to(dtype)),
        dataclasses.replace(
            catalogue,
            vectors_ND=catalogue.vectors_ND.float(),
            category_weights_NJ=catalogue.category_weights_NJ.float(),
        ),
        5,
        make_audience(4, 20),
    )
    assert slate.scores_BK.dtype == dtype
    assert (slate.items_BK[0] >= 0).all()


@every_strategy
def test_no_user_gives_no_list(name: str) -> None:
    ranking = rows(make_ranking(1, 5, 4), torch.zeros(0, dtype=torch.int64))
    audience = audience_rows(make_audience(1, 5), torch.zeros(0, dtype=torch.int64))
    assert configured(name, 0.5)(ranking, make_catalogue(5), 3, audience).items_BK.shape == (0, 3)


@every_strategy
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"diversity": -0.1}, "diversity"),
        ({"diversity": 1.01}, "diversity"),
        ({"diversity": math.nan}, "diversity"),
        ({"diversity": 0.5, "relevance": "rank"}, "relevance"),
        ({"diversity": 0.5, "pool": 0}, "pool"),
    ],
)
def test_settings_out_of_range_are_refused(name: str, arguments: dict[str, object], named: str) -> None:
    with pytest.raises(Exception, match=rf"rerank\.{name}\.{named}") as caught:
        configured(name, **arguments)  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__ or caught.value, ConfigError)


@every_strategy
def test_unknown_settings_are_refused(name: str) -> None:
    with pytest.raises(Exception, match="unexpected keyword argument"):
        configured(name, 0.5, lambda_=3)


@every_strategy
def test_lists_longer_than_what_there_is_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="pool of 4 is smaller"):
        configured(name, 0.5, pool=4)(make_ranking(1, 9, 9), make_catalogue(9), 5, make_audience(1, 9))
    with pytest.raises(ConfigError, match="keeps 3"):
        configured(name, 0.5)(make_ranking(1, 9, 3), make_catalogue(9), 5, make_audience(1, 9))


@pytest.mark.parametrize("name", ["xquad", "calibrated", "pm2", "temperature"])
def test_strategies_that_read_the_audience_say_so(name: str) -> None:
    with pytest.raises(ConfigError, match=f"rerank.{name}"):
        configured(name, 0.5)(make_ranking(1, 9, 9), make_catalogue(9), 5)


@every_strategy
def test_records_tell_all_that_a_strategy_was_built_with(name: str) -> None:
    strategy = configured(name, 0.5)
    node = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml")[name])
    assert isinstance(node, dict)
    expected = {key: value for key, value in node.items() if not str(key).startswith("_")} | {"diversity": 0.5}
    assert strategy.parameters == expected
    assert json.loads(json.dumps(strategy.parameters)) == strategy.parameters
    assert strategy.label == name, "the defaults are those of the file"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in STATEFUL])
def test_a_longer_list_begins_with_the_shorter(name: str) -> None:
    short, long = _lists(name, 0.6, k=4), _lists(name, 0.6, k=9)
    assert torch.equal(long.items_BK[:, :4], short.items_BK)


@every_strategy
@pytest.mark.parametrize("pool", [2.5, "many", True])
def test_a_pool_is_a_whole_number(name: str, pool: object) -> None:
    with pytest.raises(Exception, match=rf"rerank\.{name}\.pool"):
        configured(name, 0.5, pool=pool)
