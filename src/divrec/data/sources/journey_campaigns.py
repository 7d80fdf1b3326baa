"""What Complete Journey's coupon and campaign tables say about households and products."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from divrec.schema import ITEM_ID, TIMESTAMP, USER_ID

_DAY = "day"
_WHOLE_CAMPAIGNS = ["Type B", "Type C"]  # all members got all coupons


def redemptions(redeemed: pa.Table, coupons: pa.Table, transactions: pa.Table) -> pa.Table:
    """Events of coupons redeemed: products bought with a coupon discount on the day that one of theirs was redeemed."""
    redeemed = _with_day(redeemed, "redemption_date").select(["household_id", "coupon_upc", "campaign_id", _DAY])
    bought = _with_day(transactions.filter(pc.greater(transactions.column("coupon_disc"), 0)), "transaction_timestamp")
    bought = bought.select(["household_id", "product_id", _DAY])
    products = redeemed.join(coupons, ["coupon_upc", "campaign_id"], join_type="inner")
    met = products.join(bought, ["household_id", "product_id", _DAY], join_type="inner")
    return _events(met)


def mailings(campaigns: pa.Table, descriptions: pa.Table, coupons: pa.Table) -> pa.Table:
    """Events of mailings: each member of a campaign of type B or C, with each product of its coupons."""
    whole = descriptions.filter(pc.is_in(descriptions.column("campaign_type"), pa.array(_WHOLE_CAMPAIGNS)))
    dated = _with_day(whole, "start_date").select(["campaign_id", _DAY])
    products = coupons.select(["campaign_id", "product_id"]).group_by(["campaign_id", "product_id"]).aggregate([])
    return _events(campaigns.join(dated, "campaign_id", join_type="inner").join(products, "campaign_id"))


def _events(met: pa.Table) -> pa.Table:
    once = met.select(["household_id", "product_id", _DAY]).group_by(["household_id", "product_id", _DAY]).aggregate([])
    once = once.sort_by([(_DAY, "ascending"), ("household_id", "ascending"), ("product_id", "ascending")])
    return pa.table(
        {
            USER_ID: once.column("household_id").cast(pa.string()),
            ITEM_ID: once.column("product_id").cast(pa.string()),
            TIMESTAMP: once.column(_DAY),
        }
    )


def _with_day(table: pa.Table, moments: str) -> pa.Table:
    """The table with the midnight (UTC) before each moment, in seconds."""
    midnight = pc.floor_temporal(table.column(moments).cast(pa.timestamp("s"), safe=False), unit="day")
    return table.append_column(_DAY, midnight.cast(pa.int64()))
