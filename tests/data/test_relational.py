"""The relational steps against plain Python."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.small_logs import START, event_table
from divrec.data.engine import DuckDBEngine
from divrec.data.relational import first_touch, k_core, strongest_of_moment

PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=60)
KINDS = ["view", "cart", "purchase"]
EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4), st.sampled_from(KINDS)), min_size=1, max_size=40
)


def _naive_core(pairs: set[tuple[str, str]], core: int) -> set[tuple[str, str]]:
    while True:
        users, items = Counter(user for user, _ in pairs), Counter(item for _, item in pairs)
        kept = {(user, item) for user, item in pairs if users[user] >= core and items[item] >= core}
        if kept == pairs:
            return kept
        pairs = kept


@settings(max_examples=15, deadline=None)
@given(pairs=PAIRS, core=st.integers(1, 4))
def test_core_is_that_of_a_plain_loop(pairs: list[tuple[int, int]], core: int) -> None:
    rows = [(f"u{user}", f"i{item}", START, "purchase") for user, item in pairs]
    with DuckDBEngine() as engine:
        kept = k_core(engine.load(event_table(rows)), core, engine).to_pyarrow().to_pylist()
    wanted = _naive_core({(row[0], row[1]) for row in rows}, core)
    assert {(row["user_id"], row["item_id"]) for row in kept} == wanted
    assert len(kept) == sum((row[0], row[1]) in wanted for row in rows)


def test_core_needs_more_than_one_round() -> None:
    # A chain hangs on a block of 3 x 3: each round frees its next link.
    block = [(f"u{user}", f"i{item}") for user in range(3) for item in range(3)]
    chain = [
        ("v0", "i0"),
        ("v0", "i1"),
        ("v0", "j0"),
        ("v1", "j0"),
        ("v1", "i0"),
        ("v1", "j1"),
        ("u0", "j0"),
        ("v2", "j1"),
    ]
    rows = [(user, item, START, "purchase") for user, item in block + chain]
    with DuckDBEngine() as engine:
        kept = k_core(engine.load(event_table(rows)), 3, engine).to_pyarrow()
    assert {(row["user_id"], row["item_id"]) for row in kept.to_pylist()} == _naive_core(set(block + chain), 3)
    assert 0 < kept.num_rows < len(rows)


@settings(max_examples=15, deadline=None)
@given(events=EVENTS)
def test_first_touch_takes_the_strongest_kind_of_the_first_moment(events: list[tuple[int, int, int, str]]) -> None:
    rows = [(f"u{user}", f"i{item}", START + time, kind) for user, item, time, kind in events]
    with DuckDBEngine() as engine:
        table = first_touch(strongest_of_moment(engine.load(event_table(rows)), KINDS)).to_pyarrow()
    wanted: dict[tuple[str, str], tuple[int, int]] = {}
    for user, item, time, kind in rows:
        first = wanted.get((user, item), (time, -1))
        if time < first[0]:
            wanted[user, item] = (time, KINDS.index(kind))
        elif time == first[0]:
            wanted[user, item] = (time, max(first[1], KINDS.index(kind)))
    found = {(row["user_id"], row["item_id"]): (row["timestamp"], row["kind"]) for row in table.to_pylist()}
    assert found == wanted
    assert table.num_rows == len(wanted)


def test_kinds_that_are_not_named_are_dropped() -> None:
    with DuckDBEngine() as engine:
        rows = [("u", "i", START, "view"), ("u", "i", START, "purchase"), ("u", "j", START, "view")]
        table = strongest_of_moment(engine.load(event_table(rows)), ["purchase"]).to_pyarrow()
    assert table.column("item_id").to_pylist() == ["i"]


@pytest.mark.parametrize("core", [0, 1])
def test_core_of_one_keeps_all(core: int) -> None:
    with DuckDBEngine() as engine:
        events: pa.Table = k_core(engine.load(event_table([("u", "i", START, "purchase")])), core, engine).to_pyarrow()
    assert events.num_rows == 1
