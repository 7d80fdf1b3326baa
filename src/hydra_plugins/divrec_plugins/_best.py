"""The operating point among the runs that have finished so far: chosen on validation, as the front will choose it."""

from __future__ import annotations

from pathlib import Path

from divrec.errors import RecordError
from divrec.schema import CONTROL, RECORD_FILE, TRAINED, VALIDATION, RunRecord


class BestSoFar:
    """Collects records as they come; nothing is best before the control is there.

    In a sweep of several groups (task losses, seeds) it is the best against the first control.
    """

    def __init__(self) -> None:
        self._records: dict[str, RunRecord] = {}

    def read(self, folder: Path) -> None:
        """Take up a run's record, if there is one; the front says what is wrong with a broken one."""
        from divrec.analysis import read_record

        if not (folder / RECORD_FILE).is_file():
            return
        try:
            self._records[folder.name] = read_record(folder)
        except RecordError:
            self._records.pop(folder.name, None)

    def words(self) -> str:
        """The best point with its two values, in words; empty before the control is there."""
        from divrec.analysis import operating_point
        from divrec.analysis.axes import accuracy_axis, diversity_axes, list_size

        control = next((record for record in self._records.values() if record.kind == CONTROL), None)
        if control is None:
            return ""
        k = list_size(control)
        axes = accuracy_axis(k), diversity_axes(control, k)[0]
        trained = [record for record in self._records.values() if record.kind == TRAINED]

        def pair(record: RunRecord) -> tuple[float, float]:
            first, second = (axis.turned(record.metrics[VALIDATION].get(axis.metric, float("nan"))) for axis in axes)
            return first, second

        import numpy as np

        points = np.array([pair(record) for record in trained]).reshape(-1, 2)
        place = operating_point(points, pair(control))
        best = control if place is None else trained[place]
        values = ", ".join(f"{axis.key} {value:.4f}" for axis, value in zip(axes, pair(best), strict=True))
        return f"best so far {best.name} ({values} on validation)"
