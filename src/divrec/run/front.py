"""Build a sweep's front from the records on disk: python -m divrec.run.front dir=SWEEP_FOLDER. Imports no torch."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig

from divrec.errors import RecordError
from divrec.run.door import CONF, friendly, required
from divrec.schema import CATEGORIES, ITEM_ID, RECORD_FILE, TEXT

if TYPE_CHECKING:
    from divrec.analysis import FrontOptions

logger = logging.getLogger(__name__)


def build(folder: Path, wandb: tuple[str, str] | None = None, options: FrontOptions | None = None) -> None:
    """Write front.csv, .json, .png, .pdf and report.html, show the table, and log the front as a W&B run.

    Args:
        folder: a sweep's folder.
        wandb: project and mode; None does not log.
        options: measures, replicates and language; None takes the defaults.

    Raises:
        RecordError: if the folder holds no sweep, or no control to compare with.
    """
    from rich.console import Console

    from divrec.analysis import build_front, summary_table

    texts, category_names = _catalogue(folder)
    summary = build_front(folder, texts, options, category_names)
    if wandb is not None:
        from divrec.tracking.weights_and_biases import log_front

        log_front(folder, *wandb)
    console = Console()
    console.print(summary_table(summary))
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True, highlight=False)


def _options(config: DictConfig) -> FrontOptions:
    from divrec.analysis import FrontOptions
    from divrec.analysis.axes import DEFAULT_MEASURES

    return FrontOptions(
        accuracy=config.accuracy,
        measures=DEFAULT_MEASURES if config.measures is None else tuple(config.measures),
        replicates=config.replicates,
        seed=config.seed,
        language=config.report.language,
        users=config.report.users,
    )


def _catalogue(folder: Path) -> tuple[dict[str, tuple[str, tuple[str, ...]]], list[str]]:
    """Item id -> (text, names of its categories), and the names of all categories, from the dataset of the sweep.

    Both are empty where the dataset is gone.
    """
    records = sorted(folder.glob(f"*/{RECORD_FILE}"))
    found = (_dataset(path, folder) for path in records)
    dataset = next((path for path in found if path is not None), None)
    if dataset is None:
        if records:
            logger.warning("the dataset of this sweep is gone: the report shows item ids instead of texts")
        return {}, []
    from datasets import load_from_disk

    names = json.loads((dataset / "manifest.json").read_text(encoding="utf-8"))["category_names"]
    table = load_from_disk(str(dataset / "catalogue"))
    columns: tuple[Any, ...] = tuple(table[column] for column in (ITEM_ID, TEXT, CATEGORIES))
    texts = {item: (text, tuple(names[place] for place in places)) for item, text, places in zip(*columns, strict=True)}
    return texts, names


def _dataset(record: Path, sweep: Path) -> Path | None:
    """The dataset of a record: where its run had it, or beside the sweeps if the whole folder was moved."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        name = f"{content['data']['name']}-{content['data']['fingerprint']}"
        places = Path(content["config"]["paths"]["datasets"]), sweep.resolve().parents[1] / "datasets"
    except (ValueError, KeyError, TypeError):
        return None  # the front itself says what is wrong with this record
    return next((place / name for place in places if (place / name / "catalogue").is_dir()), None)


@hydra.main(version_base="1.3", config_path=CONF, config_name="front")
@friendly
def main(config: DictConfig) -> None:
    """Rebuild one front."""
    folder = Path(required(config, "dir", "Give the folder of a sweep: dir=outputs/sweeps/NAME."))
    if not folder.is_dir():
        raise RecordError(
            "no such folder",
            where="dir",
            got=str(folder),
            mend="Give the folder of a sweep, as outputs/sweeps/beta_x_loss.",
        )
    wandb = None if config.wandb_mode == "disabled" else (config.wandb_project, config.wandb_mode)
    build(folder, wandb, _options(config))


if __name__ == "__main__":
    main()
