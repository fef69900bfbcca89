"""How long questions to the full history take: DuckDB through the lake's views, and polars.

And what it costs that resampled views are the same in every run: beside them are plain sums.
"""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

import duckdb
import polars as pl

from benchmarks.history import INSTRUMENT, TABLE, full_lake
from benchmarks.machine import best, show
from lake.paths import Lake
from lake.read import scan
from lake.views import open_views, select

DAY, NEXT_DAY = datetime(2021, 5, 19, tzinfo=UTC), datetime(2021, 5, 20, tzinfo=UTC)
QUESTIONS = {
    "count the rows": "SELECT count(*) AS rows FROM perpetuals_ohlcv",
    "one day": "SELECT * FROM perpetuals_ohlcv "
    "WHERE timestamp >= '2021-05-19' AND timestamp < '2021-05-20'",
    "1 m to 1 h": "SELECT timestamp, open, high, low, close, volume FROM perpetuals_1h",
}
PLAIN = """
    SELECT
        time_bucket(INTERVAL {bucket}, timestamp{offset}) AS timestamp, instrument,
        arg_min(open, timestamp) AS open, max(high) AS high, min(low) AS low,
        arg_max(close, timestamp) AS close,
        sum(volume) AS volume, sum(cost) AS cost, count(*) AS minutes
    FROM perpetuals_ohlcv
    GROUP BY ALL
"""
"""The resampled views as they were at f131bef: sums of doubles in the order threads meet them."""

VIEWS = {
    "perpetuals_1h": PLAIN.format(bucket="1 HOUR", offset=""),
    "perpetuals_1d": PLAIN.format(bucket="1 DAY", offset=""),
    "perpetuals_1d_0800": PLAIN.format(bucket="1 DAY", offset=", INTERVAL 8 HOUR"),
}
RUNS = 10


def main() -> None:
    """Print the tables of times."""
    lake = Lake(full_lake().root)
    connection = open_views(lake)
    resampled(connection)
    rows = []
    for name, ask in polars_questions(lake).items():
        sql = QUESTIONS[name]
        ours, theirs = select(connection, sql).pl(), ask()
        if ours.shape != theirs.shape:
            message = f"{name}: DuckDB says {ours.shape}, polars {theirs.shape}"
            raise RuntimeError(message)
        duck = best(lambda sql=sql: select(connection, sql).pl(), 7)
        rows.append((name, f"{len(ours):,}", duck, best(ask, 7)))
    connecting = best(lambda: open_views(lake).close(), 3)
    count = select(connection, QUESTIONS["count the rows"]).pl().item()
    show(
        f"questions to {count:,} candles of {INSTRUMENT}, all cores",
        ("question", "rows", "DuckDB view ms", "polars scan ms", "ratio"),
        [
            (name, size, f"{duck * 1e3:.1f}", f"{other * 1e3:.1f}", f"{duck / other:.2f}")
            for name, size, duck, other in rows
        ]
        + [("open the lake", "-", f"{connecting * 1e3:.1f}", "-", "-")],
    )


def resampled(connection: duckdb.DuckDBPyConnection) -> None:
    """Print how long each resampled view takes beside plain sums, a run of one after the other's.

    The digests are of the rows in order of their key.
    """
    body = []
    for name, plain in VIEWS.items():
        seconds: dict[str, list[float]] = {name: [], plain: []}
        digests: dict[str, set[str]] = {name: set(), plain: set()}
        for _ in range(RUNS):
            for sql in (name, plain):
                asked = f"SELECT * FROM ({plain})" if sql is plain else f"SELECT * FROM {name}"
                started = time.perf_counter()
                answer = select(connection, f"{asked} ORDER BY instrument, timestamp").pl()
                seconds[sql].append(time.perf_counter() - started)
                digests[sql].add(hashlib.sha256(answer.write_csv().encode()).hexdigest())
        view, other = min(seconds[name]), min(seconds[plain])
        counts = (str(len(digests[name])), str(len(digests[plain])))
        body.append(
            (name, f"{view * 1e3:.0f}", f"{other * 1e3:.0f}", f"{view / other:.2f}", *counts)
        )
    show(
        f"resampled views of {INSTRUMENT}, best of {RUNS} runs in turn with plain sums",
        ("view", "ms", "plain ms", "ratio", "answers", "plain answers"),
        body,
    )


def polars_questions(lake: Lake) -> dict[str, Callable[[], pl.DataFrame]]:
    """Return the same questions as polars asks them."""
    time = pl.col("timestamp")
    return {
        "count the rows": lambda: scan(lake, TABLE).select(pl.len()).collect(),
        "one day": lambda: scan(lake, TABLE).filter(time >= DAY, time < NEXT_DAY).collect(),
        "1 m to 1 h": lambda: hourly(scan(lake, TABLE)).collect(),
    }


def hourly(minutes: pl.LazyFrame) -> pl.LazyFrame:
    """Return hourly candles."""
    return minutes.group_by_dynamic("timestamp", every="1h").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )


if __name__ == "__main__":
    main()
