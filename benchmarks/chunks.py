"""Which chunk interval: a year of minutes loaded by COPY, then asked for one day."""

import tempfile
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from adbc_driver_manager.dbapi import Connection

from benchmarks.machine import best, show
from etl.config import Settings
from etl.database import server
from etl.database.connection import connect, execute_script, fetch

INSTRUMENTS = [f"COIN{number}-PERPETUAL" for number in range(4)]
MONTHS = [date(2024, month, 1) for month in range(1, 13)] + [date(2025, 1, 1)]
DAY = "timestamp >= '2024-05-19' AND timestamp < '2024-05-20'"
ONE = f"instrument = '{INSTRUMENTS[3]}'"
QUERIES = {
    "one day, one instrument": f"SELECT * FROM candles WHERE {ONE} AND {DAY}",
    "one day, all": f"SELECT * FROM candles WHERE {DAY}",
    "one year, one instrument": f"SELECT max(high), min(low) FROM candles WHERE {ONE}",
}
CHECKS = "CHECK (open > 0 AND high > 0 AND low > 0 AND close > 0 AND volume >= 0 AND low <= high)"


def main() -> None:
    """Print the table: load and queries by chunk interval, the price of checks below it."""
    with tempfile.TemporaryDirectory(prefix="chunks-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            dsn = server.up(folder / "db").dsn
            with connect(Settings(dsn=dsn)) as connection:
                execute_script(connection, "CREATE EXTENSION IF NOT EXISTS timescaledb")
                rows = [measured(connection, days) for days in (1, 7, 30, 90, 365)]
                rows.append(measured(connection, 90, CHECKS))
        finally:
            server.down(folder / "db")
    show(
        f"a year of minutes of {len(INSTRUMENTS)} instruments, a transaction per month of each",
        ("chunk", "chunks", "load krows/s", "MB", *(f"{name} ms" for name in QUERIES)),
        rows,
    )


def measured(connection: Connection, days: int, checks: str = "") -> list[str]:
    """Return the row of one chunk interval."""
    months = [candles(name, *month) for name in INSTRUMENTS for month in pairwise(MONTHS)]
    rows = sum(month.num_rows for month in months)
    seconds = best(lambda: load(connection, table(days, checks), months), 2)
    execute_script(connection, "ANALYZE candles; CHECKPOINT")
    connection.commit()
    size = fetch(connection, "SELECT hypertable_size('candles')")[0][0]
    chunks = fetch(connection, "SELECT count(*) FROM show_chunks('candles')")[0][0]
    asked = [
        f"{best(lambda sql=sql: fetch(connection, sql), 7) * 1e3:.1f}" for sql in QUERIES.values()
    ]
    label = f"{days} d{', with checks' if checks else ''}"
    return [label, str(chunks), f"{rows / seconds / 1e3:.0f}", f"{size / 1e6:.0f}", *asked]


def load(connection: Connection, empty: str, months: list[pa.Table]) -> None:
    """Make an empty table and fill it, a transaction per month."""
    execute_script(connection, empty)
    connection.commit()
    for month in months:
        with connection.cursor() as cursor:
            cursor.adbc_ingest("candles", month, mode="append")
        connection.commit()


def table(days: int, checks: str) -> str:
    """Return the statements that make an empty table of candles."""
    numbers = ", ".join(
        f"{column} double precision NOT NULL"
        for column in ("open", "high", "low", "close", "volume", "cost")
    )
    return f"""
        DROP TABLE IF EXISTS candles;
        CREATE TABLE candles (
            timestamp timestamptz NOT NULL, instrument text COLLATE "C" NOT NULL, {numbers},
            PRIMARY KEY (instrument, timestamp){f", {checks}" if checks else ""}
        );
        SELECT create_hypertable('candles', by_range('timestamp', INTERVAL '{days} days'),
            create_default_indexes => false);
    """


def candles(instrument: str, first: date, last: date) -> pa.Table:
    """Return made-up candles of a month, sorted by time."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    minutes = (last - first) // timedelta(minutes=1)
    generator = np.random.default_rng(first.month)
    close = 60_000 + np.cumsum(generator.integers(-20, 21, minutes)) * 0.5
    times = np.datetime64(start.replace(tzinfo=None), "us") + np.arange(minutes) * 60_000_000
    volume = generator.exponential(size=minutes)
    columns = [close, close + 1, close - 1, close, volume, volume * close]
    return pa.table(
        [pa.array(times, pa.timestamp("us", "UTC")), pa.array([instrument] * minutes), *columns],
        names=["timestamp", "instrument", "open", "high", "low", "close", "volume", "cost"],
    )


if __name__ == "__main__":
    main()
