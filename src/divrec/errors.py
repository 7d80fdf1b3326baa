"""The errors a user can cause. Each message says what was wrong, where, what came, and how to mend it."""

import math


class DivrecError(Exception):
    """Base class: shown to the user as one message, without a traceback.

    Args:
        what: what is wrong, as one clause.
        where: the file, column, config key or argument concerned.
        got: what came instead; shown by its `repr`, shortened.
        mend: what the user can do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, got: object = None, mend: str | None = None) -> None:
        self.what, self.where, self.got, self.mend = what, where, got, mend
        parts = [what if where is None else f"{where}: {what}"]
        if got is not None:
            shown = repr(got)
            parts.append(f"got {shown if len(shown) <= 200 else shown[:197] + '...'}")
        message = "; ".join(parts)
        super().__init__(message if mend is None else f"{message}. {mend}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the pickling between a worker process and the sweep's driver."""
        return _rebuild, (type(self), self.what, self.where, self.got, self.mend)


class DataError(DivrecError):
    """A behavior log, a catalogue or a prepared dataset cannot be used as it is."""


class ConfigError(DivrecError):
    """A configuration asks for something that does not exist or makes no sense."""


class RecordError(DivrecError):
    """A record on disk is missing, broken or of another schema."""


def check_number(
    where: str,
    value: object,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    most: float | None = None,
    whole: bool = False,
) -> None:
    """Refuse a configured value that is no number of the kind that is needed.

    Args:
        where: the config key.
        value: what was configured.
        least: smallest number allowed.
        above: number that has to be exceeded.
        below: number that must not be reached.
        most: largest number allowed.
        whole: whether fractions are refused.

    Raises:
        ConfigError: the value is no finite number, too small, too large, or a fraction.
    """
    kind = "a whole number" if whole else "a number"
    refused = (bool, float) if whole else (bool,)
    if isinstance(value, int | float) and not isinstance(value, refused) and math.isfinite(value):
        enough = (least is None or value >= least) and (above is None or value > above)
        if enough and (below is None or value < below) and (most is None or value <= most):
            return
    bounds = [
        f"{words} {bound:g}"
        for words, bound in (("of at least", least), ("above", above), ("below", below), ("of at most", most))
        if bound is not None
    ]
    bound = f" {' and '.join(bounds)}" if bounds else ""
    raise ConfigError(f"must be {kind}{bound}", where=where, got=value)


def _rebuild(kind: type[DivrecError], what: str, where: str | None, got: object, mend: str | None) -> DivrecError:
    return kind(what, where=where, got=got, mend=mend)
