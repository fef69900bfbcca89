"""How long a micro-batch of live candles takes into TimescaleDB, and how fast rows go again."""

import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa

from benchmarks.machine import show
from etl.catalog import find
from etl.config import Settings
from etl.database import migrate
from etl.database.connection import connect
from etl.database.live import LiveWriter
from etl.database.server import down, up
from etl.dataset import Dataset
from lake.arrow import arrow

MIDNIGHT = datetime(2025, 2, 1, tzinfo=UTC)
NOON, MINUTE = MIDNIGHT + timedelta(hours=12), timedelta(minutes=1)
ROUNDS, INSTRUMENTS, PERPETUALS, MANY = 60, 200, 30, 100_000
TAIL = 0.99


def main() -> None:
    """Print the tables, on a server of their own that waits for the disk."""
    with tempfile.TemporaryDirectory(prefix="deribit-lake-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            settings = Settings(dsn=up(folder / "db").dsn)
            with connect(settings) as connection:
                migrate.init(connection)
            with LiveWriter(settings) as writer:
                measure(writer)
        finally:
            down(folder / "db")


def measure(writer: LiveWriter) -> None:
    """Send a morning at once, then minute by minute, then the morning again, and print it."""
    futures, perpetuals = find("futures_ohlcv"), find("perpetuals_ohlcv")
    morning = arrow(candles(MIDNIGHT, NOON, INSTRUMENTS)).slice(0, MANY)
    whole = [
        (f"{MANY:,} new candles of futures", took := timed(writer, futures, morning), MANY / took),
        ("the same again", took := timed(writer, futures, morning), MANY / took),
    ]
    timed(writer, perpetuals, arrow(candles(MIDNIGHT, NOON, PERPETUALS)))
    batches = [
        (f"{INSTRUMENTS} candles of futures", minutes(writer, futures, INSTRUMENTS)),
        (f"{PERPETUALS} of perpetuals, hours, days", minutes(writer, perpetuals, PERPETUALS)),
        ("the same again", minutes(writer, perpetuals, PERPETUALS)),
    ]
    show(
        "a micro-batch of a minute, a transaction, fsync on",
        ("what", "median ms", "p99 ms"),
        [
            (what, f"{statistics.median(took) * 1e3:.0f}", f"{quantile(took, TAIL) * 1e3:.0f}")
            for what, took in batches
        ],
    )
    show(
        "everything live sent at once",
        ("what", "s", "krows/s"),
        [(what, f"{took:.2f}", f"{rate / 1e3:,.0f}") for what, took, rate in whole],
    )


def candles(start: datetime, end: datetime, instruments: int) -> pl.DataFrame:
    """Return candles of every minute and of some instruments, sorted by both."""
    times = pl.datetime_range(start, end, "1m", closed="left", time_zone="UTC", eager=True)
    names = pl.DataFrame(
        {"instrument": [f"X{number:03}-PERPETUAL" for number in range(instruments)]}
    )
    price = 60_000.0 + pl.col("timestamp").dt.minute().cast(pl.Float64)
    return names.join(pl.DataFrame({"timestamp": times}), how="cross").select(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")),
        "instrument",
        open=price,
        high=price + 1.5,
        low=price - 0.5,
        close=price + 1.0,
        volume=pl.lit(0.25),
        cost=pl.lit(15_000.0),
    )


def minutes(writer: LiveWriter, dataset: Dataset, instruments: int) -> list[float]:
    """Return how long each of some minutes took to send, one after another [s]."""
    starts = [NOON + number * MINUTE for number in range(ROUNDS)]
    rows = [arrow(candles(start, start + MINUTE, instruments)) for start in starts]
    return [timed(writer, dataset, each) for each in rows]


def timed(writer: LiveWriter, dataset: Dataset, rows: pa.Table) -> float:
    """Return how long a batch takes to be sent [s]."""
    started = time.perf_counter()
    writer.send(dataset, rows)
    return time.perf_counter() - started


def quantile(took: list[float], share: float) -> float:
    """Return the time that a share of the batches stays below."""
    return sorted(took)[min(int(share * len(took)), len(took) - 1)]


if __name__ == "__main__":
    main()
