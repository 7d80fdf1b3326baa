"""Categories out of a path: one level of it, chosen by config."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from divrec.errors import ConfigError, DataError
from divrec.schema import CATEGORIES

PATH = "category_path"


@dataclass(frozen=True)
class CategoryPath:
    """Which step of a category path ("Makeup|Nails|Nail Polish") is an item's category.

    Attributes:
        level: 0 = the widest (Makeup), 1 = the next, and so on; -1 = the last, the narrowest. A path that is too short
            gives its last step.
        separator: between the steps.
    """

    level: int = 0
    separator: str = "|"

    def __post_init__(self) -> None:
        """Refuse a separator without characters."""
        if not self.separator:
            raise ConfigError("must not be empty", where="data.preparation.categories.separator", got=self.separator)

    def __call__(self, catalogue: pa.Table) -> pa.Table:
        """The catalogue with names of one level instead of paths, and the paths as text in `category_path`.

        Raises:
            DataError: the catalogue has no categories.
        """
        if CATEGORIES not in catalogue.column_names:
            raise DataError(
                "the catalogue has no categories to take a level of",
                where="data.preparation.categories",
                got=catalogue.column_names,
                mend="Map the column with the path to categories in the source, or leave this out.",
            )
        column = catalogue.column(CATEGORIES).combine_chunks()
        place = catalogue.column_names.index(CATEGORIES)
        if PATH not in catalogue.column_names:
            catalogue = catalogue.append_column(PATH, self._readable(column))
        return catalogue.set_column(place, CATEGORIES, self._levels(column))

    def _levels(self, column: pa.Array) -> pa.Array:
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            return self._names(column.cast(pa.string()))
        names = self._names(pc.list_flatten(column).cast(pa.string()))
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths).cast(pa.int64())])
        return pa.ListArray.from_arrays(offsets.cast(pa.int32()), names)

    def _readable(self, column: pa.Array) -> pa.Array:
        """Paths as a template can show them: "Makeup > Nails"; several of an item joined by " and "."""
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            column = pc.binary_join(column, " and ")
        return pc.replace_substring(column.cast(pa.string()), self.separator, " > ")

    def _names(self, paths: pa.Array) -> pa.Array:
        encoded = paths.dictionary_encode()
        steps = [self._step(path) for path in encoded.dictionary.to_pylist()]
        return pa.array(steps, pa.string()).take(encoded.indices)

    def _step(self, path: str | None) -> str | None:
        steps = [step.strip() for step in (path or "").split(self.separator) if step.strip()]
        if not steps:
            return None
        return steps[-1] if self.level < 0 else steps[min(self.level, len(steps) - 1)]
