"""Prepare a dataset and print what it holds: python -m divrec.run.data [data=completejourney]."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from divrec.run.door import CONF, friendly


@hydra.main(version_base="1.3", config_path=CONF, config_name="data")
@friendly
def main(config: DictConfig) -> None:
    """Prepare, or reuse what is there, and print a table."""
    from rich.console import Console
    from rich.table import Table

    from divrec.run.assembly import open_data

    prepared = open_data(config).prepared
    manifest = prepared.manifest
    table = Table(title=f"{manifest['name']} ({manifest['fingerprint']})", title_justify="left", show_header=False)
    for name in ("users", "items", "events"):
        table.add_row(name, f"{manifest[name]:,}")
    table.add_row("categories", f"{len(manifest['category_names']):,}")
    table.add_row("event kinds", ", ".join(manifest["event_kinds"]))
    for split, facts in manifest["splits"].items():
        table.add_row(
            split,
            ", ".join(
                f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in facts.items()
            ),
        )
    for title in ("set_aside", "left_out"):
        for reason, count in manifest[title].items():
            table.add_row(title.replace("_", " "), f"{count:,} {reason}")
    console = Console()
    console.print(table)
    console.print(f"Dataset: {prepared.path}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
