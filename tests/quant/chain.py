"""A whole chain of options as Deribit sent it in one answer."""

import json

import polars as pl

from quant import conventions
from tests.quant.recorded import RECORDED

BODY = RECORDED / "book_summary_2025_06" / "BTC_option_book_summary_20250615_055819.json"


def recorded_chain():
    """Quotes of 746 options of twelve expiries, as `quant.quotes` takes them."""
    rows = pl.DataFrame(json.loads(BODY.read_text()), infer_schema_length=None)
    parts = pl.col("instrument_name").str.split("-")
    day = parts.list.get(1).str.pad_start(7, "0").str.to_titlecase()
    mid = pl.mean_horizontal("bid_price", "ask_price")
    return rows.select(
        "bid_price",
        "ask_price",
        "mark_price",
        iv=pl.col("mark_iv") / 100,
        # the exchange's clock; the hour in the name of the file is that of another time zone
        timestamp=pl.from_epoch(pl.col("creation_timestamp").max(), "ms").dt.replace_time_zone(
            "UTC"
        ),
        forward="underlying_price",
        strike=parts.list.get(2).cast(pl.Float64),
        expiry=conventions.expiry(day.str.strptime(pl.Date, "%d%b%y")),
        option_type=pl.when(parts.list.get(3) == "C").then(pl.lit("call")).otherwise(pl.lit("put")),
        instrument_type=pl.lit("reversed"),
        tick=pl.when(mid < 0.005).then(0.0001).otherwise(0.0005),
    ).with_columns(
        tenor=conventions.tenor(pl.col("timestamp"), pl.col("expiry")),
        number=pl.col("expiry").rank("dense").cast(pl.Int64),
    )


def as_arrays(quotes):
    """What `quant.quote_repair.repaired` takes."""
    moneyness = quotes["strike"] / quotes["forward"]
    columns = quotes["number"], moneyness, quotes["bid_price"], quotes["ask_price"]
    return *(x.to_numpy() for x in columns), (quotes["option_type"] == "call").to_numpy()
