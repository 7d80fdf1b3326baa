"""Compare two runs metric by metric: python -m divrec.run.compare a=RUN b=RUN. Imports no torch.

Several seeds: a=[RUN,RUN] b=[RUN,RUN], in the order of the same seeds. A run is a folder with a record.json.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig, ListConfig

from divrec.errors import ConfigError
from divrec.run.door import CONF, friendly, required
from divrec.schema import POINTS_FOLDER

if TYPE_CHECKING:
    from divrec.schema import RunRecord

_LONGEST = 90  # of a side's part of a file name; file systems take 255 bytes


@hydra.main(version_base="1.3", config_path=CONF, config_name="compare")
@friendly
def main(config: DictConfig) -> None:
    """Print the table and write it as CSV."""
    sides = [_folders(config, key) for key in ("a", "b")]
    family, out = tuple(_names(config.family)), _out(config.out)

    from rich.console import Console

    from divrec.analysis.comparison_table import comparison_table
    from divrec.analysis.run_comparison import compare_runs
    from divrec.analysis.trial import Trial
    from divrec.storage import write_text

    trial = Trial(config.split, family, config.seed, config.resamples, config.permutations)
    table = compare_runs(sides[0], sides[1], trial)
    sweeps, labels = zip(*(_label(side) for side in sides), strict=True)
    target = out or Path(
        "outputs/comparisons", "--".join(dict.fromkeys(sweeps)), f"{labels[0]}--{labels[1]}--{config.split}.csv"
    )
    write_text(target, table.to_csv(index=False))
    console = Console()
    console.print(comparison_table(table, f"{labels[0]} (a) against {labels[1]} (b), {config.split}"))
    console.print(f"Table: {target}", soft_wrap=True, highlight=False)


def _folders(config: DictConfig, key: str) -> list[Path]:
    required(config, key, f"Give the folder of a run, or one a seed: {key}=RUN, {key}=[RUN,RUN].")
    found = _strings(config[key])
    if not found:
        raise ConfigError(
            "must be the folder of a run, or a list of them, one a seed", where=key, got=_plain(config[key])
        )
    return [Path(folder) for folder in found]


def _names(family: object) -> list[str]:
    found = _strings(family)
    if found is None:
        raise ConfigError(
            "must be a list of metrics", where="family", got=_plain(family), mend="As family=[ndcg@10,gini@10]."
        )
    return found


def _strings(value: object) -> list[str] | None:
    """A text as a list of one, a list of texts as it is, None for anything else."""
    if isinstance(value, str):
        return [value] if value else None
    if isinstance(value, ListConfig) and all(isinstance(each, str) and each for each in value):
        return list(value)
    return None


def _plain(value: object) -> Any:  # noqa: ANN401 - for a message
    return "null" if value is None else list(value) if isinstance(value, ListConfig) else value


def _out(value: object) -> Path | None:
    """The CSV's path, before anything is computed.

    Raises:
        ConfigError: no path, a folder, or a path below a file.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ConfigError("must be the path of a CSV, or null", where="out", got=_plain(value))
    path = Path(value)
    if path.is_dir():
        raise ConfigError("is a folder", where="out", got=value, mend=f"Name the file, as {path / 'comparison.csv'}.")
    if blocked := [str(above) for above in path.parents if above.exists() and not above.is_dir()]:
        raise ConfigError("lies below a file", where="out", got=value, mend=f"{blocked[0]} is no folder.")
    return path


def _label(folders: list[Path]) -> tuple[str, str]:
    """What a setting is called in file names: its sweep, and its name with its seeds."""
    from divrec.analysis.records import read_record

    records = [read_record(folder) for folder in folders]
    runs = [_run_of(folder.resolve()) for folder in folders]
    names = [_name(record, run) for record, run in zip(records, runs, strict=True)]
    settings = {re.sub(r"-seed\d+(?=[-_]|$)", "", name) for name in names}
    label = "+".join(names)
    if len(records) > 1 and len(settings) == 1:
        label = f"{settings.pop()}-seeds{'+'.join(str(record.seed) for record in records)}"
    return _short("+".join(dict.fromkeys(run.parent.name for run in runs))), _short(label)


def _run_of(folder: Path) -> Path:
    return folder.parents[1] if folder.parent.name == POINTS_FOLDER else folder


def _name(record: RunRecord, run: Path) -> str:
    """The record's name, behind that of its run's folder where that is another one."""
    name = record.name if record.name.split("/")[0] == run.name else f"{run.name}/{record.name}"
    return re.sub(r"[^\w.=+-]+", "_", name)


def _short(label: str) -> str:
    if len(label) <= _LONGEST:
        return label
    return f"{label[: _LONGEST - 9]}-{hashlib.blake2b(label.encode(), digest_size=4).hexdigest()}"


if __name__ == "__main__":
    main()
