import pytest

from divrec.errors import ConfigError
from divrec.training import Schedule


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    factor = Schedule(steps=100, learning_rate=1e-3, warmup=10, decay="linear").factor()
    assert factor(0) == pytest.approx(0.1)
    assert factor(9) == factor(10) == 1
    assert factor(55) == pytest.approx(0.5)
    assert factor(100) == 0


def test_cosine_and_constant():
    cosine = Schedule(steps=100, learning_rate=1, decay="cosine").factor()
    assert (cosine(0), cosine(50), cosine(100)) == pytest.approx((1, 0.5, 0))
    assert Schedule(steps=10, learning_rate=1).factor()(9) == 1


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 5, "warmup": 6}, "warmup"),
        ({"steps": 5, "decay": "exponential"}, "decay"),
        ({"steps": 5, "patience": 2}, "validate_every"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(settings, key):
    with pytest.raises(ConfigError, match=key):
        Schedule(learning_rate=1e-3, **settings)
