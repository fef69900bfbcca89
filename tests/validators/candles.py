"""Clean one-minute candles to plant faults in, and the frames of the recorded ones."""

from datetime import UTC, datetime

import numpy as np
import polars as pl

TICK = 0.5
START = datetime(2024, 3, 1, tzinfo=UTC)


def clean_candles(rows, *, seed=0, filler_share=0.01, start=START, instrument="BTC-PERPETUAL"):
    """Candles that keep every rule: a random walk in ticks, with flat fillers, none lost."""
    random = np.random.default_rng(seed)
    silent = random.random(rows) < filler_share
    moves = np.where(silent, 0, np.rint(random.standard_t(4, rows) * 12)).astype(int)
    close = 120_000 + np.cumsum(moves)
    opened = np.concatenate([[120_000], close[:-1]])
    reach = np.where(silent, 0, random.integers(0, 10, (2, rows)))
    high = np.maximum(opened, close) + reach[0]
    low = np.minimum(opened, close) - reach[1]
    volume = np.where(silent, 0.0, random.integers(1, 100_000, rows) / 1e3)
    price = low + (high - low) * random.random(rows)
    prices = {"open": opened, "high": high, "low": low, "close": close}
    return pl.select(
        timestamp=pl.datetime_range(
            start, start + pl.duration(minutes=rows), "1m", closed="left", time_zone="UTC"
        ).cast(pl.Datetime("us", "UTC")),
        instrument=pl.lit(instrument),
        **{name: pl.Series(ticks * TICK, dtype=pl.Float64) for name, ticks in prices.items()},
        volume=pl.Series(volume),
        cost=pl.Series(volume * price * TICK),
    )
