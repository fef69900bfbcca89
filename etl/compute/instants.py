"""Which snapshots of a chain curves and surfaces are made of.

A collector keeps the chain of every full minute, and of those the ones at full hours are taken, as
surfaces of trades are. Snapshots that were asked for are at no full minute: all of them are taken.
"""

import polars as pl
import pyarrow as pa

MINUTE, HOUR = 60_000_000, 3_600_000_000  # microseconds


def of_hours(quotes: pa.Table) -> pl.DataFrame:
    """Return the rows of quotes whose snapshot curves and surfaces are made of."""
    frame = pl.DataFrame(quotes)
    instant = pl.col("timestamp").dt.epoch("us")
    return frame.filter((instant % MINUTE != 0) | (instant % HOUR == 0))
