"""Weights & Biases: a run for each training, and one for a sweep's front. The only file that imports wandb."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from pytorch_lightning.loggers import WandbLogger

from divrec.errors import ConfigError

logger = logging.getLogger(__name__)

MODES = ("offline", "online", "disabled")


class WeightsAndBiases(WandbLogger):
    """Lightning's W&B logger, offline unless told otherwise, one W&B run a training.

    Args:
        project: W&B project.
        group: the sweep's name, so that its runs stand together.
        name: the run's name.
        job_type: kind of run.
        folder: the run's folder; W&B keeps its files below it.
        mode: `offline` writes to disk (send later with `wandb sync`), `online` sends, `disabled` does nothing.
        tags: for filtering.

    Raises:
        ConfigError: for an unknown mode.
    """

    def __init__(
        self,
        project: str,
        group: str | None,
        name: str,
        job_type: str,
        folder: str,
        mode: str = "offline",
        tags: Sequence[str] = (),
    ) -> None:
        checked = _checked(mode)
        super().__init__(
            project=project,
            group=group,
            name=name,
            job_type=job_type,
            save_dir=folder,
            mode=checked,
            tags=list(tags),
            settings=_quiet(),
        )

        self._wandb_init.pop("anonymous", None)  # Lightning hands on a setting that W&B has dropped and warns of

    def finish(self, failed: bool) -> None:
        """Close the W&B run with its exit code; without this the next run in this process would reuse it."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=int(failed))
            self._experiment = None


def log_front(folder: Path, project: str, mode: str = "offline") -> None:
    """Log a finished front as one W&B run: its table, a scatter plot for each pair of measures, picture and report.

    Args:
        folder: a sweep's folder with front.csv, front.json, front.png and report.html.
        project: W&B project.
        mode: as in `WeightsAndBiases`.
    """
    front: dict[str, Any] = json.loads((folder / "front.json").read_text(encoding="utf-8"))
    table = wandb.Table(dataframe=_plain(pd.read_csv(folder / "front.csv")))
    # One front a sweep: a rebuilt one takes the place of the run before it.
    identity = hashlib.blake2b(str(folder.resolve()).encode(), digest_size=4).hexdigest()
    for earlier in (folder / "wandb").glob(f"offline-run-*-{identity}"):
        shutil.rmtree(earlier)
    with wandb.init(
        project=project,
        id=identity,
        resume="allow",
        group=folder.name,
        name=f"{folder.name}-front",
        job_type="front",
        dir=folder,
        mode=_checked(mode),
        config={"sweep": folder.name},
        settings=_quiet(),
    ) as run:
        run.log({"front/table": table})
        for diversity in ("gini@10", "coverage@10", "simpson@10", "ilad@10", "ilmd@10"):
            columns = f"test/{diversity}", "test/ndcg@10"
            if set(columns) <= set(table.columns):
                run.log(
                    {f"front/{diversity}": wandb.plot.scatter(table, *columns, title=f"NDCG@10 against {diversity}")}
                )
        run.log({"front/picture": wandb.Image(str(folder / "front.png"))})
        run.log({"front/report": wandb.Html((folder / "report.html").read_text(encoding="utf-8"), inject=False)})
        run.summary.update(_summary(front))


def _checked(mode: str) -> Any:  # noqa: ANN401 - wandb wants a Literal
    if mode not in MODES:
        raise ConfigError(
            "no such W&B mode",
            where="WANDB_MODE or logger.wandb.mode",
            got=mode,
            mend=f"Use one of {', '.join(MODES)}.",
        )
    return mode


def _quiet() -> wandb.Settings:
    return wandb.Settings(silent=True, console="off")


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Columns with one type each, as a W&B table demands; gaps in text columns become empty."""
    text = table.select_dtypes(exclude="number").columns
    return table.assign(**{column: table[column].fillna("").astype(str) for column in text})


def _summary(front: dict[str, Any]) -> dict[str, Any]:
    """What a table of sweeps should show of one: the operating point and the front's two sizes for each measure."""
    point = front["operating_point"]
    flat: dict[str, Any] = {"front/headline": front["headline"], "front/operating_point": point["name"]}
    for split, values in point["values"].items():
        flat |= {f"front/operating_point/{split}/{name}": value for name, value in values.items()}
    for size in ("mean_gain", "hypervolume"):
        for measure, values in front[size].items():
            flat |= {f"front/{size}/{split}/{measure}": value for split, value in values.items()}
    return flat
