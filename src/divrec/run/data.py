"""Prepare a dataset and print its data card: python -m divrec.run.data [data=completejourney]."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from divrec.run.door import CONF, friendly


@hydra.main(version_base="1.3", config_path=CONF, config_name="data")
@friendly
def main(config: DictConfig) -> None:
    """Prepare, or reuse what is there, and print the data card; the page with plots lies in the dataset's folder."""
    from rich.console import Console
    from rich.table import Table

    from divrec.data import CARD_FILE, make_card, write_card
    from divrec.run.assembly import open_data

    prepared = open_data(config).prepared
    card = make_card(prepared)
    write_card(card, prepared.path / CARD_FILE)
    console = Console()
    console.print(f"[bold]{card.title}[/bold]", highlight=False)
    for title, rows in card.sections.items():
        table = Table(title=title, title_justify="left", show_header=False)
        for name, value in rows:
            table.add_row(name, value)
        console.print(table)
    console.print(f"Dataset: {prepared.path}", soft_wrap=True, highlight=False)
    console.print(f"Data card: {prepared.path / CARD_FILE}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
