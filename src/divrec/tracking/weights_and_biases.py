"""Weights & Biases: a run for each training, and one for a sweep's front. The only file that imports wandb."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from divrec.errors import ConfigError
from divrec.schema import RunRecord
from divrec.tracking.facts import ArtifactSpec, Lineage, axes_of, collection, dataset_of, model_of, tags_of

logger = logging.getLogger(__name__)

MODES = ("offline", "online", "disabled")


class WeightsAndBiases(WandbLogger):
    """Lightning's W&B logger, offline unless told otherwise, one W&B run a training, however often it was broken off.

    Args:
        project: W&B project.
        group: the sweep's name, so that its runs stand together.
        name: the run's name.
        folder: the run's folder; W&B keeps its files below it.
        mode: `offline` writes to disk (send later with `make sync`), `online` sends, `disabled` does nothing.
        tags: for filtering, beside those that follow from the config.
        artifacts: whether the weights of a finished run are kept as an artifact, with the dataset it read as its input.

    Raises:
        ConfigError: for an unknown mode.
    """

    def __init__(
        self,
        project: str,
        group: str | None,
        name: str,
        folder: str,
        mode: str = "offline",
        tags: Sequence[str] = (),
        artifacts: bool = True,
    ) -> None:
        checked = _checked(mode)
        super().__init__(
            project=project,
            group=group,
            name=name,
            id=_begun(Path(folder)),
            save_dir=folder,
            mode=checked,
            tags=list(tags),
            settings=_quiet(),
        )
        self._artifacts = artifacts
        self._wandb_init.pop("anonymous", None)  # Lightning hands on a setting that W&B has dropped and warns of

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any]) -> None:  # type: ignore[override]
        """Log the resolved config; kind, tags and axes of the W&B run follow from it.

        Args:
            params: with at least kind, data, model, task, diversity, seed, monitor and k.
        """
        tags = dict.fromkeys([*self._wandb_init["tags"], *tags_of(params)])
        self._wandb_init |= {"tags": list(tags), "job_type": params["kind"]}
        super().log_hyperparams(params)
        run = self.experiment
        run.define_metric("epoch")
        for name, axis in axes_of(params).items():
            run.define_metric(name, step_metric=axis)

    @rank_zero_only
    def archive(self, record: RunRecord, folder: Path) -> None:
        """Keep the weights as an artifact whose input is the dataset: at once online, else as a spec for `make sync`.

        Args:
            record: of the finished run.
            folder: of the run.
        """
        mode = self._wandb_init["mode"]
        if not self._artifacts or mode == "disabled":
            return
        run = self.experiment
        model = model_of(record, folder)
        run.log_artifact(_artifact(model), aliases=list(model.aliases))
        lineage = Lineage(str(self._project), run.id, (dataset_of(record),))
        if mode == "online":
            _use(run, lineage)
        else:
            lineage.write(Path(run.settings.sync_dir))

    def finish(self, failed: bool) -> None:
        """Close the W&B run with its exit code; without this the next run in this process would reuse it."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=int(failed))
            self._experiment = None


def send_lineage(lineage: Lineage) -> None:
    """Tell the server what a run that has been sent read. Needs a connection and a key."""
    with wandb.init(project=lineage.project, id=lineage.run, resume="must", mode="online", settings=_quiet()) as run:
        _use(run, lineage)


def has_key() -> bool:
    """Whether W&B knows an account to send to."""
    return bool(wandb.api.api_key)


def log_front(folder: Path, project: str, mode: str = "offline") -> None:
    """Log a finished front as one W&B run: its table, a scatter plot for each measure, pictures, report and files.

    A tracker that fails leaves a warning: the front is on disk already.

    Args:
        folder: a sweep's folder with front.csv, front.json, front.png and report.html.
        project: W&B project.
        mode: as in `WeightsAndBiases`.

    Raises:
        ConfigError: for an unknown mode.
    """
    checked = _checked(mode)
    try:
        _log_front(folder, project, checked)
    except (wandb.Error, OSError, RuntimeError, ValueError, TypeError) as error:
        logger.warning("the front could not be logged to W&B (%s: %s)", type(error).__name__, error)


def _log_front(folder: Path, project: str, mode: Any) -> None:  # noqa: ANN401 - wandb wants a Literal
    front: dict[str, Any] = json.loads((folder / "front.json").read_text(encoding="utf-8"))
    table = wandb.Table(dataframe=_plain(pd.read_csv(folder / "front.csv")))
    # One front a sweep: a rebuilt one takes the place of the run before it.
    place = f"{platform.node()}:{folder.resolve()}"
    identity = hashlib.blake2b(place.encode(), digest_size=4).hexdigest()
    for earlier in (folder / "wandb").glob(f"offline-run-*/run-{identity}.wandb"):
        shutil.rmtree(earlier.parent)
    with wandb.init(
        project=project,
        id=identity,
        resume="allow",
        group=folder.name,
        name=f"{folder.name}-front",
        job_type="front",
        tags=["front"],
        dir=folder,
        mode=mode,
        config={"sweep": folder.name},
        settings=_quiet(),
    ) as run:
        run.log({"front/table": table})
        accuracy = f"test/{front['accuracy']}"
        for measure in front["measures"].values():
            columns = f"test/{measure['metric']}", accuracy
            if set(columns) <= set(table.columns):
                title = f"{front['accuracy']} against {measure['metric']}"
                run.log({f"front/{measure['metric']}": wandb.plot.scatter(table, *columns, title=title)})
        pictures = sorted(folder.glob("front*.png"), key=lambda path: (len(path.name), path.name))
        run.log({"front/picture": [wandb.Image(str(path), caption=path.stem) for path in pictures]})
        run.log({"front/report": wandb.Html((folder / "report.html").read_text(encoding="utf-8"), inject=False)})
        run.log_artifact(_artifact(_front_files(folder)))
        run.summary.update(_summary(front))


def _front_files(folder: Path) -> ArtifactSpec:
    files = sorted(path for pattern in ("front*.*", "report.html") for path in folder.glob(pattern))
    paths = tuple(str(path.resolve()) for path in files)
    return ArtifactSpec(collection(folder.name, "front"), "front", {"sweep": folder.name}, paths)


def _artifact(spec: ArtifactSpec) -> wandb.Artifact:
    artifact = wandb.Artifact(spec.name, type=spec.type, metadata=spec.metadata)
    for file in spec.files:
        artifact.add_file(file, policy="immutable")  # it stays where it is instead of being copied
    return artifact


def _use(run: wandb.Run, lineage: Lineage) -> None:
    for spec in lineage.inputs:
        run.use_artifact(_artifact(spec), aliases=list(spec.aliases))


def _begun(folder: Path) -> str | None:
    """Id of the W&B run that an earlier, broken-off start left in a run's folder."""
    files = [path for path in (folder / "wandb").glob("*run-*-*/run-*.wandb") if not path.parent.is_symlink()]
    # The folder begins with its time and may end in a counter (two starts in one second); the file is named by the id.
    return max(files).stem.removeprefix("run-") if files else None


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
