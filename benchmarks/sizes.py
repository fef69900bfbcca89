"""Bytes a row, plain and compressed, of every hypertable on a server that compresses.

Needs TimescaleDB's community edition, one that may be thrown away, by ``DERIBIT_LAKE_TEST_DSN``.
The lake is made from the simulated exchange and kept between runs. Options have no dataset yet:
their rows are made up, few an option, and compressed by instrument, too, for comparison.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from adbc_driver_manager.dbapi import Connection

from benchmarks.history import LIMITLESS
from benchmarks.machine import show
from etl.config import Settings, load_settings
from etl.database import migrate
from etl.database.connection import connect, execute_script, fetch
from etl.database.dsn import with_database
from etl.database.load import load
from etl.database.tables import hypertables, stated, table_of, tables
from etl.progress import LogProgress
from lake.arrow import arrow
from lake.paths import Lake
from tests.exchange.running import running
from validators.schemas.candles import OptionsOhlcv
from validators.schemas.options_greeks import OptionsGreeks

GIVEN = "DERIBIT_LAKE_TEST_DSN"
START, END = "2025-01-01", "2025-10-18"
WORDS = (
    ("backfill", "perpetuals", "--instruments", "BTC-PERPETUAL,ETH-PERPETUAL"),
    ("backfill", "futures", "--currency", "BTC"),
    ("backfill", "funding"),
    ("backfill", "index"),
    ("backfill", "deliveries"),
    ("backfill", "dvol"),
)
SIZE = "SELECT sum(total_bytes)::bigint FROM hypertable_detailed_size('{path}')"
COMPRESS = "SELECT count(compress_chunk(chunk, true)) FROM show_chunks('{path}') AS chunk"
MADE_UP = (OptionsOhlcv, OptionsGreeks)
OPTIONS, ROWS_EACH = 4_000, 40
QUARTER = datetime(2025, 1, 1, tzinfo=UTC)


def main() -> None:
    """Print the table."""
    if GIVEN not in os.environ:
        sys.exit(f"name a community server that may be thrown away by {GIVEN}")
    with _database() as database, connect(database, autocommit=True) as connection:
        for name in hypertables():  # so that rows go in as they are
            path = tables()[name].path
            execute_script(connection, f"SELECT remove_compression_policy('{path}')")
        load(database, Lake(database.root), LogProgress())
        _make_up_options(connection)
        rows = [_measured(connection, name) for name in hypertables()]
        rows += [_by_instrument(connection, stated(model).name) for model in MADE_UP]
    show("bytes a row", ("table", "rows", "plain", "compressed", "smaller"), rows)


@contextmanager
def _database() -> Iterator[Settings]:
    """Yield settings of a lake and of a new database, which is dropped in the end."""
    server, name = Settings(dsn=os.environ[GIVEN]), f"deribit_bench_{os.getpid()}"
    with connect(server, autocommit=True) as connection:
        execute_script(connection, f"CREATE DATABASE {name}")
        try:
            dsn = with_database(str(server.dsn), name)
            found = _lake().model_copy(update={"dsn": dsn})
            with connect(found) as inside:
                migrate.init(inside)
            yield found
        finally:
            execute_script(connection, f"DROP DATABASE {name} WITH (FORCE)")


def _lake() -> Settings:
    """Return a lake with every dataset; the first call takes some minutes, later ones seconds."""
    root = Path(tempfile.gettempdir()) / f"deribit-lake-bench-{os.getuid()}" / "every"
    with running(limits=False) as exchange:
        for words in WORDS:
            _run(root, "--host", exchange.url, *words, "--start", START, "--end", END)
    _run(root, "compute")
    return load_settings(root=root / "lake", log_dir=root / "logs")


def _run(root: Path, *words: str) -> None:
    command = [str(Path(sys.executable).with_name("deribit-lake")), "--lake", str(root / "lake")]
    environment = os.environ | LIMITLESS | {"DERIBIT_LAKE_LOG_DIR": str(root / "logs")}
    subprocess.run([*command, *words], env=environment, check=True, capture_output=True)


def _make_up_options(connection: Connection) -> None:
    """Fill the tables of options: prices in ticks, figures as they come, few rows an option."""
    random = np.random.default_rng(7)
    count = OPTIONS * ROWS_EACH
    minutes = random.integers(0, 90 * 1440, count)
    names = [f"BTC-28MAR25-{20_000 + 500 * (n // 2)}-{'CP'[n % 2]}" for n in range(OPTIONS)]
    keys = pl.DataFrame({"instrument": np.repeat(names, ROWS_EACH), "minute": minutes})
    keys = keys.unique(["instrument", "minute"]).sort("instrument", "minute")
    moments = pl.lit(QUARTER) + pl.duration(minutes=pl.col("minute"))
    keys = keys.with_columns(timestamp=moments.cast(pl.Datetime("us", "UTC")))
    for model in MADE_UP:
        table = table_of(model)
        columns = {column.name: _made_up(column.name, keys, random) for column in table.columns}
        with connection.cursor() as cursor:
            rows = arrow(pl.DataFrame(columns))
            cursor.adbc_ingest(table.name, rows, mode="append", db_schema_name=table.schema)


def _made_up(name: str, keys: pl.DataFrame, random: np.random.Generator) -> pl.Series:
    count = len(keys)
    if name in keys.columns:
        return keys[name]
    if name == "close_timestamp":
        return keys["timestamp"] + timedelta(seconds=17)
    words = {"underlying": "BTC", "status": "ok", "forward_source": "future"}
    if name in words:
        return pl.Series([words[name]] * count)
    if name in {"open", "high", "low", "close", "price"}:
        return pl.Series(random.integers(1, 500, count) * 0.0005)
    if name == "volume":
        return pl.Series(random.integers(1, 500, count) * 0.1)
    return pl.Series(random.normal(size=count))


def _measured(connection: Connection, name: str) -> tuple[str, ...]:
    """Return the row of a hypertable: its size as it is, then compressed."""
    path = tables()[name].path
    ((rows,),) = fetch(connection, f"SELECT count(*) FROM {path}")
    ((plain,),) = fetch(connection, SIZE.format(path=path))
    fetch(connection, COMPRESS.format(path=path))
    ((small,),) = fetch(connection, SIZE.format(path=path))
    return name, f"{rows:,}", f"{plain / rows:.0f}", f"{small / rows:.1f}", f"{plain / small:.1f}"


def _by_instrument(connection: Connection, name: str) -> tuple[str, ...]:
    """Return the row of a table of options as it would be, compressed by instrument."""
    path = tables()[name].path
    decompress = COMPRESS.replace("compress_chunk(", "decompress_chunk(")
    fetch(connection, decompress.format(path=path))
    execute_script(
        connection,
        f"ALTER TABLE {path} SET (timescaledb.compress_segmentby = 'instrument',"
        " timescaledb.compress_orderby = 'timestamp')",
    )
    execute_script(connection, f"VACUUM FULL {path}")
    _, *rest = _measured(connection, name)
    return f"{name}, by instrument", *rest


if __name__ == "__main__":
    main()
