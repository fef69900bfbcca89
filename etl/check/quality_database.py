"""Check what a table of the database holds: the reports of `quality`, from the other side.

Holes and doubtful candles are found by the server (``sql/quality``), so that of some million rows
only those come over; what a finding means is said by the functions that judge the lake.
Outliers and silences depend on the candles around, so these are read back, one instrument in
memory at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from adbc_driver_postgresql.dbapi import Connection

from etl.check.quality import Examined, QualityReport, finders, write_reports
from etl.config import Settings
from etl.database.connection import connect, database_errors, execute_script, target
from etl.database.dsn import redacted
from etl.database.schema import check_schema
from etl.database.tables import SQL, hypertables
from etl.datasets import Dataset, find_dataset
from etl.errors import UsageError
from etl.instruments.lists import staged_universe
from lake.paths import open_lake
from validators import quality
from validators.outages import Outage, load_outages
from validators.quality.sanity import OFF_BAR_BPS
from validators.schemas import RESOLUTIONS
from validators.ticks import load_tick_sizes, tick_spans

QUERIES = SQL / "quality"
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclass(frozen=True, kw_only=True)
class _Table:
    """A table on its way through the checks, as one transaction sees it."""

    connection: Connection
    dataset: Dataset
    outages: tuple[Outage, ...]
    gap_minutes: float


def check_database(
    settings: Settings, table: str, *, out_dir: Path, gap_minutes: float = 5
) -> QualityReport:
    """Run every check on what the database holds in one table, as of one moment.

    The tick sizes of instrument records are those the lake has staged; without a lake, prices of
    instruments that `tick_sizes.toml` does not list are not held against a tick.

    Raises
    ------
    UsageError
        The database has no such table, or it holds nothing yet.
    DatabaseError
        The database cannot be read, or is not what the schema says.
    LakeError
        A report cannot be written.
    """
    dataset = find_dataset(table)
    if table not in hypertables():
        message = f"{table} is never loaded into the database: use --from lake"
        raise UsageError(message)
    listed = staged_universe(open_lake(settings.root)).instruments
    ticks = {name: instrument.tick_size for name, instrument in listed.items()}
    with database_errors(), connect(settings) as connection:
        execute_script(connection, SNAPSHOT)
        check_schema(connection)
        held = _Table(
            connection=connection,
            dataset=dataset,
            outages=load_outages(settings.outages),
            gap_minutes=gap_minutes,
        )
        rows = dict(_query(held, "rows").iter_rows())
        if not rows:
            message = f"{redacted(target(settings))} holds nothing of {table} yet: run load first"
            raise UsageError(message)
        examined = (_examine(held, name, rows[name], ticks.get(name)) for name in rows)
        return write_reports(examined, table=table, out_dir=out_dir)


def _examine(table: _Table, instrument: str, rows: int, tick_size: float | None) -> Examined:
    found = {"gaps": _gaps(table, instrument)}
    if "close" in table.dataset.columns:
        found |= _of_candles(table, instrument, tick_size)
    return Examined(instrument=instrument, rows=rows, findings=found)


def _gaps(table: _Table, instrument: str) -> pl.DataFrame:
    resolution = table.dataset.resolution
    step = float(RESOLUTIONS[resolution])
    return quality.explain_holes(
        _query(table, "gaps", instrument, step, table.gap_minutes),
        resolution=resolution,
        outages=table.outages,
        describes_past="close" not in table.dataset.columns,
    )


def _of_candles(table: _Table, instrument: str, tick_size: float | None) -> dict[str, pl.DataFrame]:
    find = finders(table.dataset.resolution, table.outages, table.gap_minutes, tick_size)
    suspects = pl.concat(_suspects(table, instrument, tick_size))
    found = {"sanity": find["sanity"](suspects)}
    candles = _query(table, "candles", instrument).with_columns(instrument=pl.lit(instrument))
    return found | {check: find[check](candles) for check in ("outliers", "fillers")}


def _suspects(table: _Table, instrument: str, tick_size: float | None) -> Iterator[pl.DataFrame]:
    for start, end, tick in tick_spans(instrument, load_tick_sizes(), default=tick_size):
        yield _query(table, "sanity", instrument, start, end, tick or 0.0, OFF_BAR_BPS)


def _query(table: _Table, name: str, *parameters: Any) -> pl.DataFrame:
    """Return the answer to one of the queries of ``sql/quality``."""
    text = (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
    with table.connection.cursor() as cursor:
        cursor.execute(text.format(table=f"public.{table.dataset.name}"), parameters)
        return pl.DataFrame(cursor.fetch_arrow_table())
