"""From a minute's close to its candle in the live day and in TimescaleDB, by the exchange's clock.

A collector of all perpetuals and futures beside the simulated exchange, at the speed of life. A
row is in the live day when the file that first holds it got its name, and in the database when a
query first finds it: those are ten a second. A candle is final when the next minute of its
instrument begins; one whose next minutes have no trade waits for REST, every quarter of an hour.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.machine import show
from etl.config import Settings
from etl.database.connection import connect
from lake.paths import Lake
from lake.read import read_table
from tests.database.throwaway import DSN, timescale
from tests.etl.collect.collecting import NOW, Collecting, collecting

MINUTES = 10.0
LOOK_S = 0.1
MINUTE = timedelta(minutes=1)
PLACES = ("the live day", "TimescaleDB")
CANDLES = ("perpetuals_ohlcv", "futures_ohlcv")
START_S = 240.0
KINDS = ("candles", "trades", "funding", "index", "dvol")
_NEW = "SELECT instrument, timestamp FROM {} WHERE timestamp >= $1"

Row = tuple[str, datetime]
"""Instrument and open time of a candle."""


@dataclass
class Seen:
    """When rows were first seen [s of the exchange after their minute closed]."""

    since: datetime  # the first minute that counts
    late_s: dict[Row, float] = field(default_factory=dict)

    def take(self, rows: Iterable[Row], now: float) -> None:
        """Take note of rows that are there now."""
        for row in rows:
            if row[1] >= self.since and row not in self.late_s:
                self.late_s[row] = now - (row[1] + MINUTE).timestamp()

    def figures(self, name: str, expected: int) -> list[str]:
        """Return a row of a table, of so many candles there were."""
        late = np.array(list(self.late_s.values()) or [np.nan])
        half, most, all_of_them = np.quantile(late, [0.5, 0.99, 1.0])
        found = f"{len(self.late_s):,} of {expected:,}"
        return [name, found, f"{half:.2f}", f"{most:.2f}", f"{all_of_them:.2f}"]


def main() -> None:
    """Print how late candles are."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--minutes", type=float, default=MINUTES, help="to look at")
    minutes = told.parse_args().minutes
    with tempfile.TemporaryDirectory() as name, timescale():
        root = Path(name)
        told_of = {"instruments": (), "kinds": KINDS, "database": True}
        with collecting(root, now=NOW, speed=1.0, **told_of) as (collector, _):
            _wait_until_it_has_begun(collector)
            seen, counts = _watch(collector, minutes)
            code = collector.stop()
    rows = [one.figures(f"{name} in {place}", counts[name]) for (place, name), one in seen.items()]
    head = ["a minute's candle of", "there", "median s", "p99 s", "most s"]
    show(f"{minutes:g} minutes, and one more; the collector ended with {code}", head, rows)


def _wait_until_it_has_begun(collector: Collecting) -> None:
    """Wait until candles of the day lie in the live day.

    Raises
    ------
    TimeoutError
        If none do.
    """
    end = time.monotonic() + START_S
    while not all(list(_files(collector.lake, name)) for name in CANDLES):
        if time.monotonic() > end:
            message = f"no live day:\n{collector.log}"
            raise TimeoutError(message)
        time.sleep(1.0)


def _watch(
    collector: Collecting, minutes: float
) -> tuple[dict[tuple[str, str], Seen], dict[str, int]]:
    """Return when rows came where over some minutes, and how many there were to come."""
    since = datetime.fromtimestamp(collector.clock.time() // 60 * 60 + 60, UTC)
    last = since + minutes * MINUTE
    seen = {(place, name): Seen(since) for name in CANDLES for place in PLACES}
    known: dict[Path, int] = {}
    with connect(Settings(dsn=os.environ[DSN]), autocommit=True) as connection:
        while collector.clock.time() < (last + MINUTE).timestamp():
            for name in CANDLES:
                for path in _files(collector.lake, name):
                    changed_ns = path.stat().st_mtime_ns
                    if known.get(path) != changed_ns:
                        known[path] = changed_ns
                        seen["the live day", name].take(_rows(path), _then(collector, path))
                with connection.cursor() as cursor:
                    cursor.execute(_NEW.format(name), (since,))
                    seen["TimescaleDB", name].take(cursor.fetchall(), collector.clock.time())
            time.sleep(LOOK_S)
    for one in seen.values():
        one.late_s = {row: late for row, late in one.late_s.items() if row[1] < last}
    names = {name: {row[0] for path in _files(collector.lake, name) for row in _rows(path)}
             for name in CANDLES}  # fmt: skip
    return seen, {name: round(minutes) * len(found) for name, found in names.items()}


def _files(root: Path, name: str) -> Iterator[Path]:
    yield from (Lake(root).root / "live" / name).glob("*.parquet")


def _rows(path: Path) -> Iterator[Row]:
    frame = pl.DataFrame(read_table(path, ("instrument", "timestamp")))
    yield from frame.select(pl.col("instrument").cast(pl.String), "timestamp").iter_rows()


def _then(collector: Collecting, path: Path) -> float:
    """Return the exchange's time of when a file got its name: what was renamed says when [s]."""
    return collector.clock.time() - (time.time() - path.stat().st_ctime)


if __name__ == "__main__":
    main()
