"""Profile texts at moments: nothing of a query's own moment or later gets into what it reads."""

import dataclasses

import numpy as np
import pytest

from divrec.data import (
    Collation,
    EvaluationSteps,
    Histories,
    PreparedData,
    Profiles,
    ProfileText,
    TrainingSteps,
    UserProfiles,
    read_histories,
)
from divrec.errors import ConfigError

WEIGHTS, TARGETS, READ = (0.2, 0.5, 1.0), (False, True, True), (True, False, True)
COLLATION = Collation(120, WEIGHTS, TARGETS, READ, history_length=20)
WHOLE = ProfileText(limit=1000, max_tokens=10_000)


def written(shop: PreparedData, **settings) -> tuple[dict[str, Histories], UserProfiles]:
    histories = {name: read_histories(split) for name, split in shop.splits.items()}
    made = Profiles(WHOLE, **settings).of(histories, shop.catalogue, COLLATION.read_kinds)
    return {name: dataclasses.replace(each, profiles=made.cuts[name]) for name, each in histories.items()}, made


def asked(train: Histories) -> list[tuple[int, int]]:
    """First event and end of sight of every query that training could ask."""
    stops = np.delete(train.starts_M, train.first_moments)
    rows = np.searchsorted(train.offsets_R, stops, side="left") - 1
    return list(zip(train.offsets_R[rows].tolist(), stops.tolist(), strict=True))


def text_of(shop: PreparedData, train: Histories, start: int, stop: int) -> str:
    words = shop.catalogue["text"][:]
    events = [event for event in range(start, stop) if READ[train.kinds_E[event]]]
    return WHOLE.render([words[train.items_E[event]] for event in events]) if events else ""


def test_with_enough_cuts_every_query_reads_exactly_what_it_may_see(shop: PreparedData) -> None:
    histories, made = written(shop, cuts=10_000)
    train = histories["train"]
    queries = asked(train)
    starts, stops = (np.array(column) for column in zip(*queries, strict=True))
    numbers = made.cuts["train"].at(starts, stops)
    assert len(queries) > 500
    for (start, stop), number in zip(queries[::7], numbers[::7], strict=True):
        assert made.texts[number] == text_of(shop, train, start, stop)


@pytest.mark.parametrize("place", ["even", "last"])
@pytest.mark.parametrize("cuts", [1, 3])
def test_a_profile_is_of_an_earlier_or_the_same_moment_and_of_the_users_own(cuts, place, shop: PreparedData) -> None:
    histories, made = written(shop, cuts=cuts, place=place)
    train, known = histories["train"], made.cuts["train"]
    assert np.bincount(np.searchsorted(train.offsets_R, known.stops_C) - 1).max() == cuts
    for start, stop in asked(train)[::5]:
        number = int(known.at(np.array([start]), np.array([stop]))[0])
        earlier = [cut for cut in known.stops_C if start < cut <= stop]
        assert made.texts[number] == (text_of(shop, train, start, max(earlier)) if earlier else "")
        assert bool(earlier) or place == "last", "even cuts begin with the first moment that can be asked about"


def test_even_cuts_lag_by_no_more_than_their_share_of_the_moments(shop: PreparedData) -> None:
    histories, made = written(shop, cuts=4)
    train, known = histories["train"], made.cuts["train"]
    for start, stop in asked(train)[::5]:
        latest = known.stops_C[np.searchsorted(known.stops_C, stop, side="right") - 1]
        row = np.searchsorted(train.offsets_R, start, side="right") - 1
        moments = train.first_moments[row + 1] - train.first_moments[row] - 1
        assert np.sum((train.starts_M > latest) & (train.starts_M <= stop)) < moments / 4 + 1


def test_batches_carry_the_number_of_each_querys_profile(shop: PreparedData) -> None:
    histories, made = written(shop, cuts=10_000)
    batch = TrainingSteps(histories["train"], COLLATION, 32, positions=96)[0]
    assert batch.profiles_Q is not None
    assert batch.profiles_Q.shape == batch.query_rows_Q.shape
    train = histories["train"]
    words = shop.catalogue["text"][:]
    for query, number in enumerate(batch.profiles_Q.tolist()):
        row = batch.query_rows_Q[query]
        seen = {words[item] for item in batch.seen_QS[query].tolist() if item < len(words)}
        told = {part for part in made.texts[number].split("; ") if part}
        assert told <= seen
        fresh = {words[item] for item in batch.target_items_P[batch.target_queries_P == query].tolist()} - seen
        assert not fresh & told, "what the query asks for is not in its profile"
        assert int(batch.users_B[row]) in train.users_R


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_reads_the_whole_history_before_the_window(split, shop: PreparedData) -> None:
    histories, made = written(shop, cuts=2)
    steps = EvaluationSteps(shop.splits[split], COLLATION, 1000, profiles=made.cuts[split])
    numbers = steps[0].batch.profiles_Q
    assert numbers is not None
    each = histories[split]
    for row, number in enumerate(numbers.tolist()):
        assert made.texts[number] == text_of(shop, each, int(each.offsets_R[row]), int(each.offsets_R[row + 1]))


def test_without_profiles_batches_carry_none(shop: PreparedData) -> None:
    assert TrainingSteps(read_histories(shop.splits["train"]), COLLATION, 8)[0].profiles_Q is None


def test_the_first_text_is_empty_and_all_are_distinct(shop: PreparedData) -> None:
    _, made = written(shop)
    assert made.texts[0] == ""
    assert len(set(made.texts)) == len(made.texts) > 100


@pytest.mark.parametrize("settings", [{"cuts": 0}, {"cuts": 1.5}, {"place": "first"}])
def test_settings_without_sense_are_refused(settings) -> None:
    with pytest.raises(ConfigError, match=r"data\.profiles"):
        Profiles(**settings)
