"""Privacy at the door: pseudonyms, dropped columns, and the check of what was written."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.small_logs import START, Given, catalogue_table, event_table, regular_rows
from divrec.data import GlobalTime, Preparation, Privacy, prepare
from divrec.data.privacy import columns_in
from divrec.errors import ConfigError, DataError

KEY, OTHER = "k" * 32, "o" * 32
PEOPLE = [
    "anna@example.org",
    "bert@example.org",
    "carl@example.org",
    "dora@example.org",
    "eve@example.org",
    "fay@x.org",
]


@pytest.fixture(autouse=True)
def _key(monkeypatch) -> None:
    monkeypatch.setenv("DIVREC_ID_KEY", KEY)


def _log() -> Given:
    rows = [(PEOPLE[int(user[1:])], item, time, kind) for user, item, time, kind in regular_rows()]
    rows += [(" anna@example.org ", "i1", START + 5, "purchase"), ("bert@example.org", "gone", START, "purchase")]
    events = event_table(rows).append_column("email", pa.array([row[0] for row in rows]))
    events = events.append_column("phone", pa.array(["+49"] * len(rows)))
    return Given(events, catalogue_table([f"i{item}" for item in range(8)]).append_column("buyer", pa.array(["x"] * 8)))


def _prepare(root: Path, privacy: Privacy):
    return prepare(_log(), Preparation(core=1, repeats="keep", privacy=privacy), GlobalTime(2, 2), root)


def _everything(folder: Path) -> bytes:
    tables = [str(pq.read_table(path).to_pylist()).encode() for path in folder.rglob("*.parquet")]
    return b"".join([*(path.read_bytes() for path in folder.rglob("*") if path.is_file()), *tables])


def test_no_user_id_and_no_personal_column_reaches_the_outputs(tmp_path: Path) -> None:
    privacy = Privacy(pseudonymize=True, drop=["phone"], personal=["email", "buyer"])
    prepared = _prepare(tmp_path, privacy)
    content = _everything(tmp_path)
    for secret in (*PEOPLE, KEY, "+49"):
        assert secret.encode() not in content
    assert columns_in(tmp_path, ["email", "phone", "buyer"]) == []
    users = set(prepared.splits["train"]["user_id"])
    assert users == {privacy.pseudonym(person) for person in PEOPLE}
    assert privacy.pseudonym(" anna@example.org ") == privacy.pseudonym("anna@example.org")
    assert prepared.manifest["set_aside"] == {"item is not in the catalogue": 1}
    plain = _prepare(tmp_path / "plain", Privacy())
    assert plain.manifest["events"] == prepared.manifest["events"]
    assert b"bert@example.org" in _everything(tmp_path / "plain")


def test_another_key_gives_another_dataset(tmp_path: Path, monkeypatch) -> None:
    first = _prepare(tmp_path, Privacy(pseudonymize=True))
    assert _prepare(tmp_path, Privacy(pseudonymize=True)).path == first.path
    monkeypatch.setenv("DIVREC_ID_KEY", OTHER)
    second = _prepare(tmp_path, Privacy(pseudonymize=True))
    assert second.path != first.path
    assert not set(first.splits["train"]["user_id"]) & set(second.splits["train"]["user_id"])


@pytest.mark.parametrize("key", [None, "short"])
def test_a_missing_or_short_key_is_refused(key: str | None, monkeypatch) -> None:
    monkeypatch.delenv("DIVREC_ID_KEY") if key is None else monkeypatch.setenv("DIVREC_ID_KEY", key)
    with pytest.raises(ConfigError, match="DIVREC_ID_KEY.*openssl"):
        Privacy(pseudonymize=True)


def test_user_ids_cannot_be_dropped() -> None:
    with pytest.raises(ConfigError, match="pseudonymize"):
        Privacy(drop=["user_id"])


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "json"])
def test_the_check_finds_a_personal_column_in_any_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "deep" / f"leak.{suffix}"
    path.parent.mkdir()
    if suffix == "parquet":
        pq.write_table(pa.table({"email": ["x"]}), path)
    elif suffix == "csv":
        path.write_text("item,email\n1,x\n")
    else:
        path.write_text(json.dumps({"email": "x"}))
    with pytest.raises(DataError, match="personal column has reached the outputs"):
        Privacy(personal=["email"]).check(tmp_path)
    assert columns_in(tmp_path, ["phone"]) == []


def test_the_check_reads_prepared_datasets(tmp_path: Path) -> None:
    _prepare(tmp_path, Privacy())
    found = {name for _, name in columns_in(tmp_path, ["items", "email"])}
    assert found == {"items", "email"}  # the features of the splits, and the quarantine file
