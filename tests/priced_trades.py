"""Option trades priced at a forward that is known, as frames of `option_trades`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from etl.instruments.names import with_name_parts
from quant.black76 import with_price_and_greeks
from validators.schemas.option_trades import OptionTrades

NOON = datetime(2025, 10, 16, 12, tzinfo=UTC)
YEAR_S = 365 * 86_400.0
SCHEMA: dict[str, Any] = {
    name: column.dtype.type for name, column in OptionTrades.to_schema().columns.items()
}


def priced(rows: Sequence[dict[str, Any]], *, tick: float = 0.0) -> pl.DataFrame:
    """Return trades of a coin, each with the premium its volatility has at its forward.

    A row gives `instrument`, `after` [s since noon], `iv` and `basis`, ln(forward/index); and what
    else it has of a trade. Premiums are rounded to `tick`, where there is one; the volatility
    that is told is then still the one that was given.
    """
    given = [{"trade_seq": n + 1, "index_price": 100_000.0} | row for n, row in enumerate(rows)]
    frame = pl.DataFrame(given, infer_schema_length=None).with_columns(
        timestamp=pl.lit(NOON) + pl.duration(microseconds=(pl.col("after") * 1e6).cast(pl.Int64)),
        forward=pl.col("index_price") * pl.col("basis").exp(),
    )
    named = with_name_parts(frame)
    left = (pl.col("expiry") - pl.col("timestamp")).dt.total_microseconds() / 1e6 / YEAR_S
    reversed_or_linear = pl.when(pl.col("counter").is_null()).then(pl.lit("reversed"))
    valued = with_price_and_greeks(
        named.with_columns(
            tenor=left, instrument_type=reversed_or_linear.otherwise(pl.lit("linear"))
        )
    )
    price = pl.col("model_price")
    if tick:
        price = (price / tick).round() * tick
    given_price = pl.col("price") if "price" in frame.columns else pl.lit(None, pl.Float64)
    valued = valued.with_columns(price=given_price.fill_null(price))
    usual = {
        "trade_id": pl.col("trade_seq").cast(pl.String), "amount": pl.lit(1.0),
        "contracts": pl.lit(1.0), "direction": pl.lit("buy"), "tick_direction": pl.lit(0),
    }  # fmt: skip
    absent = {
        name: pl.lit(None, kind) for name, kind in SCHEMA.items() if name not in valued.columns
    }
    return (
        valued.with_columns(**(absent | usual))
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        .sort("instrument", "timestamp", "trade_seq")
    )


def moment(after_s: float) -> datetime:
    """Return the moment some seconds after noon."""
    return NOON + timedelta(seconds=after_s)
