"""What a collector has of the day that runs, held against what the simulated market did."""

from datetime import datetime
from pathlib import Path

import polars as pl

from lake.live import read_live
from lake.paths import open_lake
from tests.etl.collect.collecting import NOW
from tests.exchange.market import Market

MINUTE_MS = 60_000
START_MS = round(datetime.fromisoformat(NOW).timestamp() * 1000)
DAY_START_MS = START_MS // 86_400_000 * 86_400_000


def live(folder: Path, dataset: str) -> pl.DataFrame:
    """Return the live rows of a dataset of the lake in a folder."""
    table = read_live(open_lake(folder), dataset)
    return pl.DataFrame() if table is None else pl.DataFrame(table)


def truth(name: str, start_ms: int, end_ms: int) -> pl.DataFrame:
    """Return the market's own candles of a stretch that is over."""
    columns = Market(7, end_ms + MINUTE_MS).candles(name, start_ms, end_ms)
    moment = pl.from_epoch("ticks", "ms").cast(pl.Datetime("us", "UTC"))
    prices = ("open", "high", "low", "close", "volume", "cost")
    frame = pl.DataFrame(columns)
    return frame.select(moment.alias("timestamp"), pl.lit(name).alias("instrument"), *prices)


def whole_until_ms(folder: Path, name: str) -> int | None:
    """Return up to which minute the live candles are the market's, from their day's first [ms].

    None if there is none yet, or one is missing or other.
    """
    found = live(folder, "perpetuals_ohlcv")
    rows = found.filter(pl.col("instrument") == name) if len(found) else found
    if rows.is_empty():
        return None
    end_ms = round(rows["timestamp"].dt.epoch("ms").max()) + MINUTE_MS
    return end_ms if rows.equals(truth(name, DAY_START_MS, end_ms)) else None
