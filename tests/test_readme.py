"""Every command and every file of the README, and every command of the page on sweeps, is what it says."""

from __future__ import annotations

import re
import shlex

import pytest
from hydra import compose, initialize_config_dir

from divrec.run.door import CONF
from run.command import ROOT
from run.tiny import record_of, tiny_shop

__all__ = ["tiny_shop"]

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
SWEEPS = re.findall(r"```(bash)\n(.*?)```", (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8"), flags=re.DOTALL)
SHELL = "\n".join(text for language, text in [*BLOCKS, *SWEEPS] if language == "bash").replace("\\\n", " ")
COMMANDS = [line for line in SHELL.splitlines() if line.strip()]
CONFIG_OF = {"train": "train", "evaluate": "evaluate", "data": "data", "front": "front", "interpolate": "interpolate"}
FILES = {re.match(r"# (\S+)", text).group(1): text for language, text in BLOCKS if language in ("python", "yaml")}


def test_the_readme_has_commands_and_files():
    assert len(COMMANDS) > 8
    assert len(FILES) >= 2


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme(line):
    words = [word for word in shlex.split(line, comments=True) if not re.fullmatch(r"[A-Z_]+=\S+", word)]
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", MAKEFILE, flags=re.MULTILINE)
        return
    if words[0] in ("srun", "torchrun"):  # several processes of the command that follows their own options
        words = ["python", *words[words.index("-m") :]]
    assert words[:2] == ["python", "-m"]
    config = CONFIG_OF[words[2].removeprefix("divrec.run.")]
    overrides = [word for word in words[3:] if word not in ("-m", "--help") and not word.startswith("hydra.searchpath")]
    with initialize_config_dir(CONF, version_base="1.3"):
        # A sweep's comma stands for one value of many; the README's own regularizer has a test of its own.
        singles = [re.sub(r"^([\w.]+=[^\[{,]+),.*$", r"\1", word) for word in overrides if "plain_simpson" not in word]
        assert compose(config, overrides=singles, return_hydra_config=True)


def test_the_make_targets_that_the_readme_names_exist():
    for target in re.findall(r"`make (\w+)", README):
        assert re.search(rf"^{target}:.*## ", MAKEFILE, flags=re.MULTILINE), target


def test_the_regularizer_of_the_readme_trains_from_its_own_folder(tiny_shop, tmp_path, monkeypatch):
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    searchpath = f"hydra.searchpath=[file://{tmp_path / 'my_conf'}]"
    answer = tiny_shop.train(tmp_path / "run", "diversity=plain_simpson", "beta=0.3", searchpath)
    assert answer.code == 0, answer.text
    record = record_of(tmp_path / "run")
    assert record["objective"]["diversity"] == {"plain_simpson": 1.0}
    assert record["objective"]["ratio"]["plain_simpson"] > 0


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
