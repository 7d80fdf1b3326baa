"""Offline before online: what a new policy would have earned, from the log of another one.

Shapes: E events (one decision each), A actions. Propensities are those that were logged when the decision was made.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from divrec.analysis.statistics import LEVEL, Floats, Interval
from divrec.errors import ConfigError, DataError, check_number

_FEW = 0.01  # effective share of events below which an estimate rests on a handful of them
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoggedEvents:
    """Decisions of the logging policy and what they brought.

    Attributes:
        rewards_E: what each decision brought.
        logged_E: probability with which the logging policy took it, in (0, 1].
        target_E: probability with which the new policy would have taken it, in [0, 1].
        clusters_E: the event's user, whose events depend on each other; None = every event is its own.
    """

    rewards_E: Floats
    logged_E: Floats
    target_E: Floats
    clusters_E: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Refuse what no log can hold.

        Raises:
            DataError: see the messages.
        """
        lengths = {len(self.rewards_E), len(self.logged_E), len(self.target_E)}
        if self.clusters_E is not None:
            lengths.add(len(self.clusters_E))
        if len(lengths) > 1 or not len(self.rewards_E):
            raise DataError("not one value an event", where="logged events", got=sorted(lengths))
        _refuse_where(
            ~np.isfinite(self.rewards_E),
            self.rewards_E,
            "rewards that are not finite",
            "A decision that brought nothing has the reward 0.",
        )
        _refuse_where(
            ~((self.logged_E > 0) & (self.logged_E <= 1)),
            self.logged_E,
            "logged propensities lie in (0, 1]",
            "An action that was taken had a chance; log that chance when it is drawn.",
        )
        _refuse_where(
            ~((self.target_E >= 0) & (self.target_E <= 1)),
            self.target_E,
            "target propensities lie in [0, 1]",
            "Give the chance with which the new policy takes the logged action.",
        )

    @property
    def weights_E(self) -> Floats:  # noqa: N802 - a shape suffix
        """Importance weights."""
        return np.asarray(self.target_E / self.logged_E)

    @property
    def effective_share(self) -> float:
        """Kish's effective number of events over their number: 1 = the policies agree, near 0 = the log says little."""
        weights = self.weights_E
        square = float((weights**2).sum())
        return float(weights.sum()) ** 2 / square / len(weights) if square > 0 else 0.0


def inverse_propensity(events: LoggedEvents, clip: float = math.inf, level: float = LEVEL) -> Interval:
    """IPS (Horvitz & Thompson 1952): mean of weight * reward. Unbiased without clipping; its variance can be large.

    Args:
        events: the log.
        clip: greatest weight, positive; low trades variance for a bias toward 0 (for rewards from 0 up), infinite =
            none is clipped.
        level: of the interval.

    Raises:
        ConfigError: the clip is not positive, or the level not in (0, 1).
    """
    if not clip > 0:
        raise ConfigError("the greatest weight is positive", where="clip", got=clip, mend="math.inf clips nothing.")
    _warn(events)
    return _mean(np.minimum(events.weights_E, clip) * events.rewards_E, events, level)


def self_normalized(events: LoggedEvents, level: float = LEVEL) -> Interval:
    """SNIPS (Swaminathan & Joachims 2015): weighted mean of rewards; never outside their range, bias of order 1/E.

    The interval is that of a ratio (delta method).

    Raises:
        ConfigError: the level is not in (0, 1).
        DataError: no logged action could be the new policy's.
    """
    _warn(events)
    weights = events.weights_E
    if not weights.sum() > 0:
        raise DataError("the new policy takes no logged action", where="logged events")
    estimate = float(weights @ events.rewards_E / weights.sum())
    influence = weights * (events.rewards_E - estimate) / weights.mean()
    centered = _mean(influence, events, level)
    return Interval(estimate, estimate + centered.low, estimate + centered.high)


def doubly_robust(events: LoggedEvents, predicted_E: Floats, expected_E: Floats, level: float = LEVEL) -> Interval:
    """DR (Dudik et al. 2011): predictions, corrected by the weighted residuals of what was seen.

    Unbiased if the propensities are right, whatever the predictions; good predictions take variance out.

    Args:
        events: the log.
        predicted_E: predicted reward of the logged action; the predictor must not have been fitted on these events.
        expected_E: predicted reward of the new policy: sum over actions of its propensity times the prediction.
        level: of the interval.

    Raises:
        ConfigError: the level is not in (0, 1).
        DataError: not one prediction an event, or one that is not finite.
    """
    if not len(predicted_E) == len(expected_E) == len(events.rewards_E):
        raise DataError("not one prediction an event", where="predictions", got=(len(predicted_E), len(expected_E)))
    for name, values_E in (("predicted_E", predicted_E), ("expected_E", expected_E)):
        mend = "Predict a reward for every event; the mean reward will do where the predictor has none."
        _refuse_where(~np.isfinite(values_E), values_E, "predictions that are not finite", mend, where=name)
    _warn(events)
    return _mean(expected_E + events.weights_E * (events.rewards_E - predicted_E), events, level)


def _mean(values_E: Floats, events: LoggedEvents, level: float) -> Interval:
    """Mean with an interval that is robust to the dependence of a cluster's events."""
    check_number("level", level, above=0, below=1)
    mean, count = float(values_E.mean()), len(values_E)
    residual = values_E - mean
    if events.clusters_E is not None:
        _, places = np.unique(events.clusters_E, return_inverse=True)
        residual = np.asarray(np.bincount(places, weights=residual), dtype=np.float64)
    clusters = len(residual)
    if clusters < 2:
        return Interval(mean)
    error = math.sqrt(float(residual @ residual) * clusters / (clusters - 1)) / count
    reach = float(stats.t.ppf((1 + level) / 2, clusters - 1)) * error
    return Interval(mean, mean - reach, mean + reach)


def _refuse_where(
    wrong_E: NDArray[np.bool_], values_E: Floats, what: str, mend: str, where: str = "logged events"
) -> None:
    """Refuse the values at fault, and show the first of them."""
    if wrong_E.any():
        first = int(np.argmax(wrong_E))
        got = f"{float(values_E[first])} at event {first}, {int(wrong_E.sum())} such events"
        raise DataError(what, where=where, got=got, mend=mend)


def _warn(events: LoggedEvents) -> None:
    if events.effective_share < _FEW:
        _log.warning("the estimate rests on %.2f %% of the events: too far from the log", 100 * events.effective_share)
