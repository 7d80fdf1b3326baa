"""Fitting: which weights are kept and how long it lasts."""

from __future__ import annotations

from itertools import islice

import torch

from divrec.training import Schedule, fit
from training.shop import MONITOR


class Scripted:
    """Metrics that say what the test wants, and the weights that they were asked about."""

    sizes = (5,)

    def __init__(self, values):
        self.values, self.asked, self.model = list(values), [], None

    def update(self, *_):
        return None

    def compute(self):
        self.asked.append({name: tensor.clone() for name, tensor in self.model.state_dict().items()})
        return {"ndcg@5": torch.tensor(self.values[len(self.asked) - 1])}

    def reset(self):
        return None


def fitted(make_module, data, trainer, schedule, values):
    metrics = Scripted(values)
    module = make_module(schedule, metrics=metrics)
    metrics.model = module.model
    fitted = fit(module, data, trainer, [], MONITOR, show_bar=False)
    return module.model.state_dict(), metrics.asked, fitted.steps


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_base_stops_early_and_keeps_its_best_weights(make_module, data, trainer):
    schedule = Schedule(steps=40, learning_rate=0.05, validate_every=2, patience=2)
    kept, asked, steps = fitted(make_module, data, trainer, schedule, [0.1, 0.4, 0.3, 0.2, 0.9, 0.9])
    assert len(asked) == 4, "two validations without a better value"
    assert steps == 4
    assert same(kept, asked[1])
    assert not same(kept, asked[3])


def test_the_earlier_of_two_equal_validations_is_kept(make_module, data, trainer):
    schedule = Schedule(steps=8, learning_rate=0.05, validate_every=2, patience=9)
    kept, asked, steps = fitted(make_module, data, trainer, schedule, [0.1, 0.4, 0.4, 0.4])
    assert (len(asked), steps) == (4, 4)
    assert same(kept, asked[1])


def test_a_point_runs_its_steps_and_keeps_its_last_weights(make_module, data, trainer):
    schedule = Schedule(steps=7, learning_rate=0.05, validate_every=2)
    kept, asked, steps = fitted(make_module, data, trainer, schedule, [0.9, 0.1, 0.1, 0.1, 0.1])
    assert steps == 7
    assert not same(kept, asked[0])
    assert not same(kept, asked[-1]), "the seventh step comes after the last validation"


def test_without_an_interval_validation_comes_once_at_the_end(make_module, data, trainer):
    kept, asked, steps = fitted(make_module, data, trainer, Schedule(steps=7, learning_rate=0.05), [0.1])
    assert (len(asked), steps) == (1, 7)
    assert same(kept, asked[0])


def test_one_step_is_enough(make_module, data, trainer):
    _, asked, steps = fitted(make_module, data, trainer, Schedule(steps=1, learning_rate=0.05), [0.1])
    assert (len(asked), steps) == (1, 1)


def test_training_lowers_the_loss_and_the_last_weights_carry_it(make_module, data, trainer):
    module = make_module(Schedule(steps=60, learning_rate=0.05))
    batches = list(islice(data.train_dataloader(), 3))

    @torch.no_grad()
    def loss():
        return sum(module.objective(module.model(batch), batch)["total"] for batch in batches)

    before = loss()
    fit(module, data, trainer, [], MONITOR, show_bar=False)
    assert loss() < 0.8 * before
