"""UCI Online Retail: purchases and cancellations of a British web shop for gifts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from divrec.data.reading import Columns, Format, canonical_events, content_hash, found_files, read_rows
from divrec.data.sources.source import RawLog, Rule
from divrec.schema import EVENT, ITEM_ID, TEXT

PURCHASE, CANCELLATION = "purchase", "cancellation"
_FIELDS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
# Postage, bank charges, samples, adjustments, vouchers: codes that do not start with five digits are no products.
_PRODUCT_CODE = r"^\d{5}"


class UCIOnlineRetail:
    """Online Retail (D. Chen 2015, doi 10.24432/C5BW33): 541,909 invoice lines from 2010-12 to 2011-12.

    An invoice whose number starts with C is a cancellation, a kind of event of its own with the role `removes`. Lines
    without a customer, with a price of 0, and codes that are no products (postage, fees) are set aside. Stock codes are
    written in both cases (85123A, 85123a): they are read in capitals. An item's text is the description that most of
    its lines carry; there is no category.

    Args:
        root: the file, or a folder that holds it as CSV or Parquet, as published or with the same columns.
    """

    name = "uci_online_retail"

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def describe(self) -> dict[str, Any]:
        """Hash of the file."""
        return {"content_hash": content_hash(self._files()), "doi": "10.24432/C5BW33", "reader": 1}

    def read(self) -> RawLog:
        """The whole log.

        Raises:
            DataError: the file is missing, broken, or lacks a column.
        """
        # Whole in memory: the catalogue has to be made out of the invoice lines.
        table = pa.Table.from_batches([_readable(batch) for batch in read_rows(self._files(), _FIELDS, Format())])
        columns = Columns(
            {
                "user_id": "CustomerID",
                "item_id": "StockCode",
                "timestamp": "InvoiceDate",
                "quantity": "Quantity",
                "event": EVENT,
                "price": "UnitPrice",
            }
        )
        events = canonical_events(table.to_batches(), columns).read_all()
        return RawLog(events, _catalogue(table), self.describe(), _RULES)

    def _files(self) -> list[Path]:
        if self._root.is_file():
            return [self._root]
        patterns = [each for each in ("*.parquet", "*.csv", "*.csv.gz") if any(self._root.glob(each))]
        return found_files(patterns[:1] or ["*.parquet"], self._root, "data.root")


_RULES = (
    Rule(
        "unit price is not positive",
        lambda t: t.price.try_cast("float64") <= 0,
        "Gifts and write-offs: no purchases.",
        needs="price",
    ),
    Rule(
        "stock code is no product",
        lambda t: ~t[ITEM_ID].re_search(_PRODUCT_CODE),
        "Postage, fees and vouchers cannot be recommended.",
    ),
)


def _readable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Codes in capitals, the kind of each line, and quantities of cancellations as positive numbers."""
    invoices = batch.column("InvoiceNo").cast(pa.string())
    cancelled = pc.fill_null(pc.starts_with(invoices, "C"), False)
    quantity = pc.cast(batch.column("Quantity"), pa.float64(), safe=False)
    columns = {name: batch.column(name) for name in _FIELDS}
    columns["StockCode"] = pc.utf8_upper(pc.utf8_trim_whitespace(batch.column("StockCode").cast(pa.string())))
    columns["Quantity"] = pc.if_else(cancelled, pc.abs(quantity), quantity)
    columns[EVENT] = pc.if_else(cancelled, CANCELLATION, PURCHASE)
    return pa.RecordBatch.from_pydict(columns)


def _catalogue(table: pa.Table) -> pa.Table:
    """The description that most lines of a code carry; of equals, the first in the alphabet."""
    texts = pc.utf8_trim_whitespace(table.column("Description").cast(pa.string()))
    lines = pa.table({ITEM_ID: table.column("StockCode"), TEXT: texts}).drop_null()
    counted = lines.group_by([ITEM_ID, TEXT]).aggregate([([], "count_all")])
    ranked = counted.sort_by([(ITEM_ID, "ascending"), ("count_all", "descending"), (TEXT, "ascending")])
    ids = ranked.column(ITEM_ID).combine_chunks()
    is_first = pa.concat_arrays([pa.array([True]), pc.not_equal(ids[1:], ids[:-1])])
    best = ranked.filter(is_first).select([ITEM_ID, TEXT])
    return best.set_column(1, TEXT, pc.utf8_lower(best.column(TEXT)))
