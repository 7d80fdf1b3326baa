"""Points that no front can want, known before they are trained."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_plugins.divrec_plugins._study import Trial

_SAME = ("diversity", "beta_scale")


def hopeless(
    trial: Trial,
    finished: Sequence[tuple[Trial, list[float]]],
    control: float | None,
    about: tuple[Sequence[str], float | None],
) -> str:
    """Why a trial need not be trained; empty if it has to be.

    A larger beta of the same regularizer costs accuracy. Where a smaller one has already fallen below the floor, the
    larger one lies far outside of the band that a front is read in. Width and learning rate move a point along its
    regularizer's line, which the floor leaves a margin for. Points do not validate on their way, and Optuna prunes no
    trial of several objectives, so nothing is stopped in the middle.

    Args:
        trial: what was drawn.
        finished: trials with their values, the accuracy first.
        control: the control's accuracy; None = not known.
        about: keys that have to agree besides regularizer and scale, and the floor as a share of the control's.
    """
    keys, floor = about
    beta = trial.params.get("beta")
    if floor is None or control is None or beta is None:
        return ""
    for other, values in finished:
        alike = all(other.params.get(key) == trial.params.get(key) for key in (*_SAME, *keys))
        theirs = other.params.get("beta")  # none where beta has joined the space since: it says nothing of this one
        if alike and theirs is not None and theirs <= beta and values[0] < floor * control:
            kept = f"{values[0] / control:.0%} of the control's accuracy"
            return f"{other.name} kept {kept} at beta {theirs:.3g}, this has beta {beta:.3g}"
    return ""
