"""What a tracker is told of a run beside its values: tags, axes, artifacts and their lineage. Imports no tracker.

Which dataset a run read is written down as a spec, for W&B takes it only while it is online.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from divrec.errors import RecordError
from divrec.schema import BASELINE, MODEL_FOLDER, RunRecord
from divrec.storage import write_json

LINEAGE_FILE = "lineage.json"
SENT_FILE = "lineage.sent.json"


def tags_of(config: Mapping[str, Any]) -> list[str]:
    """Tags to find a run by: kind, source, model, and for what was trained its task, regularizers and seed.

    Args:
        config: resolved.
    """
    parts = [config["data"].get("source"), config["model"]]
    trained = config["kind"] != BASELINE
    tags = [config["kind"], *(_class_name(part) for part in [*parts, *([config["task"]] if trained else [])])]
    tags += [*config["diversity"], f"seed-{config['seed']}"] if trained else []
    return [tag[:64] for tag in dict.fromkeys(tags) if tag]


def axes_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The x-axis of what is validated: the epoch; and for the accuracy itself the diversity it is traded against.

    So each run draws its way through the plane of the front while it trains. All else is drawn over steps.

    Args:
        config: resolved.
    """
    return {"validation/*": "epoch", config["monitor"]: f"validation/gini@{config['k']}"}


@dataclass(frozen=True)
class ArtifactSpec:
    """An artifact before it is one.

    Attributes:
        name: of its collection.
        type: "dataset" or "model".
        metadata: what there is to know about it.
        files: what it holds.
        aliases: names of this version.
    """

    name: str
    type: str
    metadata: dict[str, Any]
    files: tuple[str, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lineage:
    """What a tracked run read.

    Attributes:
        project: W&B project.
        run: W&B id of the run.
        inputs: artifacts that it used.
    """

    project: str
    run: str
    inputs: tuple[ArtifactSpec, ...]

    def write(self, folder: Path) -> None:
        """Write it into the tracker's folder of the run."""
        write_json(folder / LINEAGE_FILE, dataclasses.asdict(self))

    @classmethod
    def read(cls, file: Path) -> Lineage:
        """Read what `write` wrote.

        Raises:
            RecordError: if it is no lineage.
        """
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            inputs = tuple(
                ArtifactSpec(**(each | {"files": tuple(each["files"]), "aliases": tuple(each["aliases"])}))
                for each in content["inputs"]
            )
            return cls(str(content["project"]), str(content["run"]), inputs)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecordError(
                f"no lineage of a run ({error})", where=str(file), mend="Delete it: the run is sent without its origin."
            ) from error


def dataset_of(record: RunRecord) -> ArtifactSpec:
    """The prepared dataset: its manifest and figures, and not the log, which is the users' own."""
    name = f"{record.data['name']}-{record.data['fingerprint']}"
    manifest = Path(record.config["paths"]["datasets"]).resolve() / name / "manifest.json"
    files = (str(manifest),) if manifest.is_file() else ()
    return ArtifactSpec(name, "dataset", dict(record.data), files, (str(record.data["fingerprint"]),))


def model_of(record: RunRecord, folder: Path) -> ArtifactSpec:
    """The weights of a finished run, in a collection named by its sweep and itself.

    Args:
        record: of the run.
        folder: of the run.
    """
    files = tuple(str(path.resolve()) for path in sorted((folder / MODEL_FOLDER).iterdir()) if path.is_file())
    metadata = {
        "identity": record.identity,
        "kind": record.kind,
        "seed": record.seed,
        "data": record.data["fingerprint"],
        "model": record.model,
        "objective": record.objective,
        "metrics": record.metrics,
    }
    return ArtifactSpec(
        collection(record.config.get("group"), record.name), "model", metadata, files, (record.identity,)
    )


def collection(*parts: str | None) -> str:
    """Name of an artifact's collection, from the parts that are there, in the characters that W&B allows."""
    name = "-".join(part for part in parts if part)
    return "".join(character if character.isalnum() or character in "-_." else "_" for character in name)[:128]


def _class_name(node: object) -> str:
    return str(node.get("_target_", "")).rsplit(".", 1)[-1] if isinstance(node, Mapping) else ""
