"""The basis over the end of a year: how old a price is, the year before knows."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from etl.compute.futures_basis import FUTURES_BASIS
from etl.compute.run import Ask, compute
from etl.instruments.lists import living_request, staged_listing
from etl.progress import LogProgress
from lake import raw
from lake.arrow import arrow
from lake.ledger import Record, write_record
from lake.partition import Partition
from lake.paths import open_lake
from lake.read import checksum
from lake.write import publish_table
from tests.etl.staged import attempt, envelope

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FUTURE, PERPETUAL = "BTC-26JAN24", "BTC-PERPETUAL"
LISTED = {
    "kind": "future",
    "creation_timestamp": 1_600_000_000_000,
    "tick_size": 0.5,
    "settlement_currency": "BTC",
    "price_index": "btc_usd",
}
EXPIRY_MS = 1_706_256_000_000


def publish(lake, dataset, instrument, last_trade):
    """Publish an hour of candles on both sides of the new year, the last trade at a moment."""
    start = NEW_YEAR - 60 * MINUTE
    times = pl.datetime_range(start, NEW_YEAR + 59 * MINUTE, "1m", eager=True)
    rows = pl.DataFrame({"timestamp": times.cast(pl.Datetime("us", "UTC"))}).select(
        "timestamp",
        pl.lit(instrument).alias("instrument"),
        *(pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close")),
        volume=pl.when(pl.col("timestamp") <= last_trade).then(1.0).otherwise(0.0),
        cost=pl.lit(100.0),
    )
    for year in (2023, 2024):
        part = rows.filter(pl.col("timestamp").dt.year() == year)
        partition, table = Partition(dataset, instrument, str(year)), arrow(part)
        publish_table(table, lake.clean(partition))
        first, last = (round(part["timestamp"][at].timestamp() * 1000) for at in (0, -1))
        record = Record(rows=len(part), first_ms=first, last_ms=last, checksum=checksum(table))
        write_record(lake, partition, record)


@pytest.mark.parametrize(
    ("stale", "dataset", "instrument"),
    [
        ("stale_future", "futures_ohlcv", FUTURE),
        ("stale_perpetual", "perpetuals_ohlcv", PERPETUAL),
    ],
)
def test_a_price_of_last_year_is_as_old_as_its_trade(tmp_path, stale, dataset, instrument):
    lake = open_lake(tmp_path, create=True)
    listed = [
        LISTED | {"instrument_name": PERPETUAL, "settlement_period": "perpetual"},
        LISTED
        | {
            "instrument_name": FUTURE,
            "settlement_period": "month",
            "expiration_timestamp": EXPIRY_MS,
        },
    ]
    raw.stage([attempt(envelope(listed))], living_request(lake, "future").folder)
    for each, name in (("futures_ohlcv", FUTURE), ("perpetuals_ohlcv", PERPETUAL)):
        publish(lake, each, name, NEW_YEAR + timedelta(days=1))
    publish(lake, dataset, instrument, NEW_YEAR - 10 * MINUTE)

    ask = Ask(options={"tolerance": 30})
    compute(lake, FUTURES_BASIS, staged_listing(lake), LogProgress(), ask)

    rows = pl.read_parquet(lake.derived(Partition("futures_basis", "BTC", "2024-01")))
    counts = rows["status"].rle().struct.unnest()
    assert counts.rows() == [(21, "ok"), (39, stale)]
