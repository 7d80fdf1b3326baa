"""The data card: what a dataset holds, for the terminal and as a page with plots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from divrec.data.build import PreparedData
from divrec.data.card_charts import curve, histogram, horizontal_bars, stacked_bars
from divrec.data.checks import Check, leakage_checks
from divrec.data.histories import flat_lists
from divrec.schema import CATEGORIES, SPLITS, TRAIN
from divrec.storage import write_text

CARD_FILE = "data_card.html"
_SHOWN_CATEGORIES = 20
_WORDS = {True: "yes", False: "NO", None: "does not apply"}


@dataclass(frozen=True)
class Card:
    """The sections of a data card: title -> rows of (name, value).

    Attributes:
        sections: for the terminal and the page alike.
        checks: leakage.
        categories: name, items, share of training events; largest first.
        profile: numbers of the plots; empty for datasets that were built before there were cards.
    """

    title: str
    sections: dict[str, list[tuple[str, str]]]
    checks: list[Check]
    categories: list[tuple[str, int, float]]
    profile: dict[str, Any]


def make_card(prepared: PreparedData) -> Card:
    """Collect what there is to say about a dataset."""
    manifest = prepared.manifest
    checks = leakage_checks(prepared)
    sections = {
        "Counts": _counts(manifest),
        "Splits": [_split_row(name, manifest["splits"][name]) for name in (TRAIN, *SPLITS)],
        "At the door": [
            *((reason, f"{rows:,} rows set aside") for reason, rows in manifest["set_aside"].items()),
            *((reason, f"{rows:,} rows mended") for reason, rows in manifest.get("mended", {}).items()),
        ],
        "Left out": [(reason, f"{rows:,}") for reason, rows in manifest["left_out"].items() if rows],
        "Leakage checks": [(each.question, f"{_WORDS[each.holds]}: {each.detail}") for each in checks],
        "Source": [(key, str(value)) for key, value in manifest["source"].items() if value],
    }
    return Card(
        title=f"{manifest['name']} ({manifest['fingerprint']})",
        sections={title: rows for title, rows in sections.items() if rows},
        checks=checks,
        categories=_categories(prepared),
        profile=manifest.get("profile", {}),
    )


def write_card(card: Card, path: Path) -> None:
    """Write the page; it needs no other file and no connection."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("data_card.html.j2").render(
        card=card, charts=_charts(card), rest=_rest(card.categories)
    )
    write_text(path, page)


def _counts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [(name, f"{manifest[name]:,}") for name in ("users", "items", "events")]
    profile = manifest.get("profile")
    if profile:
        quantiles = profile["history_lengths"]["quantiles"]
        rows += [
            ("density", f"{profile['density']:.3%}"),
            ("first event", profile["time"]["first"]),
            ("last event", profile["time"]["last"]),
            ("events a user", ", ".join(f"{value:,.0f} ({share})" for share, value in quantiles.items())),
            (
                "long tail",
                f"1 % of items have {profile['long_tail']['top_percent']:.0%} of events, half of them lie on "
                f"{profile['long_tail']['half_of_events_on']:.1%}; Gini {profile['long_tail']['gini']:.3f}",
            ),
            ("event kinds", ", ".join(f"{kind} {count:,}" for kind, count in profile["kinds"].items())),
        ]
    names = manifest["category_names"]
    rows.append(("categories", f"{len(names):,} ({manifest.get('category_source', 'column')})"))
    return rows


def _split_row(name: str, facts: dict[str, Any]) -> tuple[str, str]:
    counts = ", ".join(f"{value:,} {key}" for key, value in facts.items() if isinstance(value, int))
    window = f", {facts['start'][:16]} to {facts['end'][:16]}" if "start" in facts else ""
    return name, counts + window


def _categories(prepared: PreparedData) -> list[tuple[str, int, float]]:
    names = prepared.manifest["category_names"]
    if not names:
        return []
    table = prepared.catalogue.with_format("arrow")[:]
    codes, offsets = flat_lists(table, CATEGORIES)
    items = np.bincount(codes, minlength=len(names))
    lengths = np.diff(offsets)
    events_N = table.column("count").to_numpy() / np.maximum(lengths, 1)
    events = np.bincount(codes, weights=np.repeat(events_N, lengths), minlength=len(names))
    shares = events / max(events.sum(), 1)
    order = np.argsort(-shares, kind="stable")
    return [(names[place], int(items[place]), float(shares[place])) for place in order]


def _charts(card: Card) -> dict[str, str]:
    charts = {}
    if card.categories:
        charts["categories"] = horizontal_bars(
            [(name, share) for name, _, share in card.categories[:_SHOWN_CATEGORIES]]
        )
    if card.profile:
        time, lengths = card.profile["time"], card.profile["history_lengths"]
        charts["time"] = stacked_bars(time["events"], time["first"][:10], time["last"][:10])
        charts["long_tail"] = curve(card.profile["long_tail"]["events"], "share of items, best sellers first")
        charts["lengths"] = histogram(lengths["edges"], lengths["users"], "events of a user")
    return charts


def _rest(categories: list[tuple[str, int, float]]) -> str:
    """What the categories beyond the plot hold."""
    rest = categories[_SHOWN_CATEGORIES:]
    return f"{len(rest):,} more hold {sum(share for _, _, share in rest):.1%}. " if rest else ""
