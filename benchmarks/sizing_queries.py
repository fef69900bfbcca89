"""What questions to tickers take of a core, by the rows they must look into; through the views.

A question is timed on what is held; what opening and planning takes is measured apart, on many
files, so that what is left goes with rows.
"""

import os
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from benchmarks.sizing_model import TICKERS, Query
from lake.partition import Partition
from lake.paths import Lake, open_lake
from lake.span import period_of
from lake.views import open_views, select

HOUR = "time_bucket(INTERVAL 1 HOUR, timestamp) AS hour"
WITHIN = "timestamp > '{day}' AND timestamp <= '{day}'::TIMESTAMPTZ + INTERVAL '1 day'"
FILES, ROUNDS, DAY_MS = 300, 5, 86_400_000
QUESTIONS = {
    "one option, one day": (
        "day", ("timestamp", "instrument", "bid_price", "ask_price", "mark_iv"),
        "SELECT {columns} FROM option_tickers WHERE instrument = '{instrument}' AND {within}",
    ),
    "one option, all its life": (
        "all", ("timestamp", "instrument", "mark_iv"),
        "SELECT {columns} FROM option_tickers WHERE instrument = '{instrument}'",
    ),
    "the chain at a moment": (
        "day", ("timestamp", "instrument", "mark_iv"),
        "SELECT {columns} FROM option_tickers WHERE timestamp = '{moment}'",
    ),
    "mean volatility of every expiry and hour": (
        "all", ("timestamp", "underlying", "expiry", "mark_iv"),
        "SELECT underlying, expiry, {hour}, avg(mark_iv) FROM option_tickers GROUP BY ALL",
    ),
    "every column of every row": ("all", (), "SELECT max(columns(*)) FROM option_tickers"),
}  # fmt: skip


def queries(lake: Lake, many: Lake) -> list[Query]:
    """Return what each question takes for a row in its scope, of a core and of what is read.

    Those to everything are asked of the lake of many files: few rows say too little.
    """
    found = []
    for name, (scope, columns, sql) in QUESTIONS.items():
        asked_of, rounds = (many, 1) if scope == "all" else (lake, ROUNDS)
        connection = open_views(asked_of)
        told, (all_rows, most) = _told(open_views(lake)), _rows(asked_of)
        floor = _cpu(connection, "SELECT 1 FROM option_tickers LIMIT 0", ROUNDS)
        asked = sql.format(columns=", ".join(columns), **told)
        seconds = max(_cpu(connection, asked, rounds) - floor, 0.0)
        rows = all_rows if scope == "all" else most
        found.append(Query(name, scope, seconds / rows * 1e6, column_bytes(lake, columns)))
    return found


def seconds_of(lake: Lake) -> dict[str, float]:
    """Return what each question takes of a core on a lake as it is, opened anew [s]."""
    open_s = min(_opened(lake) for _ in range(3))
    connection = open_views(lake)
    told = _told(connection)
    return {
        name: open_s + _cpu(connection, sql.format(columns=", ".join(columns), **told))
        for name, (_, columns, sql) in QUESTIONS.items()
    }


def linked(lake: Lake, folder: Path) -> Lake:
    """Return a lake of many files: links to the largest there is of BTC, named by other days."""
    many = open_lake(folder / "many", create=True)
    largest = max(lake.root.glob(f"clean/{TICKERS}/BTC/*.parquet"), key=lambda p: p.stat().st_size)
    for day in range(FILES):
        path = many.clean(Partition(TICKERS, "BTC", period_of(day * DAY_MS, "day")))
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(largest, path)
    return many


def opening(many: Lake) -> tuple[float, float]:
    """Return what each row group takes of a core to open a lake [us], and of what is read [bytes].

    It is opened, and asked for nothing that is in its files.
    """
    found = pq.read_metadata(many.files(TICKERS)[0])
    seconds = min(_opened(many) for _ in range(3))
    return (
        seconds / FILES / found.num_row_groups * 1e6,
        found.serialized_size / found.num_row_groups,
    )


def column_bytes(lake: Lake, columns: tuple[str, ...]) -> float:
    """Return what some columns take in files of tickers, or all of them [bytes a row]."""
    size = rows = 0
    for path in lake.files(TICKERS):
        found = pq.read_metadata(path)
        rows += found.num_rows
        for group in range(found.num_row_groups):
            for place in range(found.num_columns):
                column = found.row_group(group).column(place)
                if not columns or column.path_in_schema in columns:
                    size += column.total_compressed_size
    return size / rows


def _rows(lake: Lake) -> tuple[int, int]:
    """Return how many tickers there are, and how many a file has at most."""
    found = [pq.read_metadata(path).num_rows for path in lake.files(TICKERS)]
    return sum(found), max(found)


def _told(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return an option, a day and a moment in the middle of what is held."""
    sql = (
        "SELECT timestamp AS moment, date_trunc('day', timestamp) AS day, instrument"
        " FROM option_tickers WHERE instrument LIKE 'BTC-%-C' AND mark_iv > 0"
        " ORDER BY timestamp, instrument LIMIT 1"
    )
    row = select(connection, sql).pl().row(0, named=True)
    return {name: f"{value}" for name, value in row.items()} | {
        "within": WITHIN.format(**row),
        "hour": HOUR,
    }


def _opened(lake: Lake) -> float:
    started = time.process_time()
    connection = open_views(lake)
    select(connection, "FROM option_tickers WHERE timestamp < '1969-01-01'").pl()
    connection.close()
    return time.process_time() - started


def _cpu(connection: duckdb.DuckDBPyConnection, sql: str, rounds: int = ROUNDS) -> float:
    """Return the least a question takes of all cores together [s]."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        select(connection, sql).pl()
        best = min(best, time.process_time() - started)
    return best
