"""A collector whose database is stopped in mid-run: what it lacks when it is back, and how long."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from etl.catalog import DATASETS
from etl.config import Settings
from etl.database.connection import connect
from etl.database.parts import has_table
from etl.database.server import down, up
from etl.database.tables import table_of
from lake.live import live_datasets, read_live
from lake.paths import Lake
from tests.database.throwaway import DSN, timescale
from tests.etl.collect.collecting import NOW, Collecting, collecting

PATIENCE_S = 300.0  # of ours
KINDS = ("candles", "trades", "funding", "index", "dvol")


@dataclass(frozen=True, slots=True)
class Stop:
    """What a stop of the database came to.

    Attributes
    ----------
    seconds
        From its return until all live rows of that moment were there, by the collector's clock.
    waiting
        Live rows that it lacked when it was back.
    rows
        Live rows in the end, all datasets with a table.
    missing
        Those that the database then did not have exactly so.
    code
        What the collector exited with.
    """

    seconds: float
    waiting: int
    rows: int
    missing: int
    code: int


def stop_database(root: Path, *, stopped_s: float, speed: float = 1.0, **told: object) -> Stop:
    """Stop the database of a collector for some of its seconds, and return what came of it."""
    told = {"database": True, "kinds": KINDS, **told}
    with timescale() as server, collecting(root, now=NOW, speed=speed, **told) as (collector, _):
        _caught_up(collector, _live(collector))
        down(server)
        collector.wait(stopped_s)
        up(server)
        back = collector.clock.time()
        found = _live(collector)
        waiting = _missing(found)
        _caught_up(collector, found)
        seconds = collector.clock.time() - back
        code = collector.stop()
        found = _live(collector)
        return Stop(seconds, waiting, sum(map(len, found.values())), _missing(found), code)


def _caught_up(collector: Collecting, found: dict[str, pl.DataFrame]) -> None:
    """Wait until the database has live rows, with all of those.

    Raises
    ------
    TimeoutError
        If it has not in time.
    """
    end = time.monotonic() + PATIENCE_S
    while not found or _missing(found):
        if time.monotonic() > end:
            message = f"the database lacks {_missing(found)} rows:\n{collector.log}"
            raise TimeoutError(message)
        time.sleep(0.1)
        found = found or _live(collector)


def _live(collector: Collecting) -> dict[str, pl.DataFrame]:
    """Return the live rows of every dataset that has a table."""
    lake = Lake(collector.lake)
    tables = {name: read_live(lake, name) for name in live_datasets(lake)}
    return {
        name: pl.DataFrame(table)
        for name, table in tables.items()
        if table is not None and has_table(DATASETS[name])
    }


def _missing(found: dict[str, pl.DataFrame]) -> int:
    """Return how many rows the database does not have exactly so."""
    with connect(Settings(dsn=os.environ[DSN])) as connection, connection.cursor() as cursor:
        missing = 0
        for name, rows in found.items():
            table = table_of(DATASETS[name].model)
            columns = [column.name for column in table.columns if column.name in rows.columns]
            cursor.execute(f"SELECT {', '.join(columns)} FROM {table.path}")
            held = pl.DataFrame(cursor.fetch_arrow_table())
            alike = rows.select(columns).cast(held.schema)  # type: ignore[arg-type]
            missing += len(alike.join(held, on=columns, how="anti", nulls_equal=True))
    return missing
