"""Moments as the exchange stamps them, as the lake keeps them."""

import polars as pl


def timestamp() -> pl.Expr:
    """Return the column `timestamp` [µs, UTC] of rows stamped in milliseconds."""
    # ms to µs by hand: a cast of the epoch would accept microseconds sent by mistake.
    return (pl.col("timestamp_ms") * 1000).cast(pl.Datetime("us", "UTC")).alias("timestamp")
