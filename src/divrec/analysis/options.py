"""What a reader may ask of a front: measures, replicates, language."""

from __future__ import annotations

from dataclasses import dataclass

from divrec.analysis.axes import ACCURACY, DEFAULT_MEASURES, accuracy_axis, named_axes
from divrec.analysis.resampling import REPLICATES
from divrec.analysis.wording import Words, words_in
from divrec.errors import ConfigError


@dataclass(frozen=True)
class FrontOptions:
    """Options of a front and its report.

    Attributes:
        accuracy: measure of accuracy, as "ndcg"; each measure of diversity makes a pair with it.
        measures: measures of diversity, as "gini"; the first that was measured decides the operating point.
        replicates: bootstrap replicates over users and seeds behind each interval; more are slower and steadier.
        seed: of the bootstrap and of the choice of the users whose lists are shown.
        language: of the report and of the pictures, "en" or "zh".
        users: how many users' lists the report shows.

    Raises:
        ConfigError: no measure, an unknown one or language, fewer than 20 replicates, or fewer than no users.
    """

    accuracy: str = ACCURACY
    measures: tuple[str, ...] = DEFAULT_MEASURES
    replicates: int = REPLICATES
    seed: int = 0
    language: str = "en"
    users: int = 10

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if not self.measures:
            raise ConfigError("no measure of diversity", where="measures", got=[], mend="Name one, as [gini].")
        if self.replicates < 20:
            mend = "Use 20 or more; 500 is the default."
            raise ConfigError("too few replicates for an interval", where="replicates", got=self.replicates, mend=mend)
        if self.users < 0:
            raise ConfigError("a negative number of users", where="report.users", got=self.users, mend="Use 0 or more.")
        words_in(self.language)
        accuracy_axis(1, self.accuracy)
        named_axes(1, self.measures)

    @property
    def words(self) -> Words:
        """The wording in the chosen language."""
        return words_in(self.language)
