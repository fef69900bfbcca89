"""The memory `quality` needs does not grow with the history of an instrument."""

from datetime import UTC, datetime

import polars as pl
import pytest

from lake.paths import Lake, Partition
from lake.write import publish_table
from tests.acceptance.command import Product
from tests.validators.candles import clean_candles

INSTRUMENT, TABLE = "BTC-PERPETUAL", "perpetuals_ohlcv"
YEARS = range(2018, 2026)
PEAK_MB = 300


def minutes(year):
    """A year of candles, which ticks of 2019 fit as well as those of today."""
    first, next_first = (datetime(number, 1, 1, tzinfo=UTC) for number in (year, year + 1))
    rows = round((next_first - first).total_seconds() / 60)
    frame = clean_candles(rows, seed=year, start=first)
    # A walk of years from 60,000 USD may come down to nothing.
    lift = 1e6 - frame["low"].min() if frame["low"].min() < 1e4 else 0.0
    prices = pl.col("open", "high", "low", "close") + lift
    return frame.with_columns(prices).with_columns(
        cost=pl.col("volume") * (pl.col("high") + pl.col("low")) / 2
    )


@pytest.mark.slow
def test_eight_years_of_minutes_are_checked_in_300_mb(tmp_path):
    lake = Lake(tmp_path / "lake")
    for year in YEARS:
        partition = Partition(TABLE, INSTRUMENT, str(year))
        publish_table(minutes(year).to_arrow(), lake.clean(partition))

    product = Product(lake.root, "http://127.0.0.1:1")
    done, peak = product.run_measured("quality", "--out", tmp_path / "reports")

    assert "4,207,680" in done.stdout
    assert done.returncode == 0
    assert peak <= PEAK_MB
