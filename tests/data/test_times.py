"""The times of a batch's events."""

import torch

from divrec.data import Collation, PreparedData, TrainingSteps, read_histories


def test_events_of_one_moment_share_a_time_and_padding_has_none(shop: PreparedData) -> None:
    train = read_histories(shop.splits["train"])
    batch = TrainingSteps(train, Collation(120, (0.2, 0.5, 1.0), (True, True, True), history_length=20), 32)[0]
    real = batch.groups_BL >= 0
    assert batch.times_BL is not None
    assert batch.times_BL.dtype == torch.int64
    assert (batch.times_BL[~real] == 0).all()
    assert (~real).any()
    both = real[:, 1:] & real[:, :-1]
    same_moment, same_time = batch.groups_BL.diff() == 0, batch.times_BL.diff() == 0
    assert torch.equal(same_moment[both], same_time[both])
    assert (batch.times_BL.diff()[both] >= 0).all()
