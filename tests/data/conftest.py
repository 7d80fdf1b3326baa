"""Fixtures of the data room's tests."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from data.small_logs import Event, Given, catalogue_table, event_table, regular_rows
from divrec.data import GlobalTime, Preparation, PreparedData, Synthetic, prepare


@pytest.fixture
def given() -> Given:
    return Given(event_table(regular_rows()), catalogue_table([f"i{item}" for item in range(8)]))


@pytest.fixture
def settings() -> Preparation:
    return Preparation(core=1, repeats="keep")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """A small simulated shop, prepared."""
    preparation = Preparation(
        core=3, event_weights={"view": 0.2, "cart": 0.5, "purchase": 1.0}, roles={"view": "input"}
    )
    source = Synthetic(users=150, items=120, days=60, categories=8)
    return prepare(source, preparation, GlobalTime(10, 10), tmp_path_factory.mktemp("datasets"))


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., PreparedData]:
    """Prepare rows made by hand, items as they come."""

    def prepared(rows: Sequence[Event], preparation: Preparation, split: GlobalTime) -> PreparedData:
        items = sorted({row[1] for row in rows if row[1]})
        return prepare(Given(event_table(rows), catalogue_table(items)), preparation, split, tmp_path)

    return prepared
