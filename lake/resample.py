"""Candles put together from rows in memory, by the very SQL of the lake's views."""

import threading

import duckdb
import pyarrow as pa

from lake.views import SQL, engine

_local = threading.local()


def resampled(rows: pa.Table, name: str, source: str) -> pa.Table:
    """Return what a view of the lake makes of rows, sorted by instrument and time.

    Parameters
    ----------
    rows : pyarrow.Table
        Rows of the dataset the view reads.
    name : str
        The view, a file of ``sql/views``.
    source : str
        What the view calls that dataset.
    """
    connection = _engine()
    connection.register(source, rows)
    try:
        connection.execute((SQL / "views" / f"{name}.sql").read_text(encoding="utf-8"))
        return connection.table(name).to_arrow_table()
    finally:
        connection.execute(f"DROP VIEW IF EXISTS {name}")
        connection.unregister(source)


def _engine() -> duckdb.DuckDBPyConnection:
    """Return the DuckDB of this thread: to start one takes as long as a year of minutes."""
    if not hasattr(_local, "engine"):
        _local.engine = engine()
        _local.engine.execute("SET threads = 1")  # it works beside whoever takes the rows
    found: duckdb.DuckDBPyConnection = _local.engine
    return found
