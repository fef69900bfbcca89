"""Check what a table of the database holds: the reports of `quality`, from the other side.

Holes and doubtful candles are found by the server (``sql/quality``), so that of some million rows
only those come over; what a finding means is said by the functions that judge the lake.
Outliers and silences depend on the candles around, so these are read back, some megabytes of one
instrument in memory at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from adbc_driver_postgresql.dbapi import Connection, Cursor

from etl.check.quality import Examined, QualityReport, checks_of_candles, write_reports
from etl.check.scope import Scope, scope_of
from etl.config import Settings
from etl.database.connection import connect, database_errors, execute_script, target
from etl.database.dsn import redacted
from etl.database.parts import has_table
from etl.database.schema import check_schema
from etl.database.tables import SQL, table_of
from etl.dataset import Dataset
from etl.errors import UsageError
from etl.instruments.lists import staged_listing
from lake.paths import Lake
from validators import quality
from validators.outages import Outage
from validators.quality.pieces import fold
from validators.quality.sanity import OFF_BAR_BPS
from validators.resolutions import RESOLUTIONS
from validators.ticks import load_tick_sizes, tick_spans

QUERIES = SQL / "quality"
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table on its way through the checks, as one transaction sees it."""

    connection: Connection
    path: str
    scope: Scope
    outages: tuple[Outage, ...]
    gap_minutes: float


def check_database(
    settings: Settings,
    lake: Lake,
    dataset: Dataset,
    outages: Sequence[Outage],
    *,
    out_dir: Path,
    gap_minutes: float = 5,
) -> QualityReport:
    """Run every check on what the database holds of a dataset, as of one moment.

    The tick sizes of instrument records are those the lake has staged; without a lake, prices of
    instruments that `tick_sizes.toml` does not list are not held against a tick.

    Raises
    ------
    UsageError
        There is no check for it, the database has no such table, or it holds nothing yet.
    DatabaseError
        The database cannot be read, or is not what the schema says.
    LakeError
        A report cannot be written.
    """
    scope, name = scope_of(dataset), dataset.name
    if not has_table(dataset):
        message = f"{name} is never loaded into the database: use --from lake"
        raise UsageError(message)
    listed = staged_listing(lake).instruments
    ticks = {name: instrument.tick_size for name, instrument in listed.items()}
    with database_errors(), connect(settings) as connection:
        execute_script(connection, SNAPSHOT)
        check_schema(connection)
        path = table_of(dataset.model).path
        held = _Table(connection, path, scope, tuple(outages), gap_minutes)
        rows = dict(_query(held, "rows").iter_rows())
        if not rows:
            message = f"{redacted(target(settings))} holds nothing of {name} yet: run load first"
            raise UsageError(message)
        examined = (_examine(held, one, rows[one], ticks.get(one)) for one in rows)
        return write_reports(examined, table=name, out_dir=out_dir)


def _examine(table: _Table, instrument: str, rows: int, tick_size: float | None) -> Examined:
    found = {"gaps": _gaps(table, instrument)}
    if table.scope.is_candles:
        found |= _of_candles(table, instrument, tick_size)
    return Examined(instrument=instrument, rows=rows, findings=found)


def _gaps(table: _Table, instrument: str) -> pl.DataFrame:
    step = float(RESOLUTIONS[table.scope.resolution])
    return quality.explain_holes(
        _query(table, "gaps", instrument, step, table.gap_minutes),
        resolution=table.scope.resolution,
        outages=table.outages,
        describes_past=table.scope.describes_past,
    )


def _of_candles(table: _Table, instrument: str, tick_size: float | None) -> dict[str, pl.DataFrame]:
    checks = checks_of_candles(table.scope.resolution, table.outages, tick_size)
    suspects = fold({"sanity": checks["faults"]}, _suspects(table, instrument, tick_size))
    pieces = _stream(table, "candles", instrument)
    candles = (piece.with_columns(instrument=pl.lit(instrument)) for piece in pieces)
    return suspects | fold({name: checks[name] for name in ("outliers", "fillers")}, candles)


def _suspects(table: _Table, instrument: str, tick_size: float | None) -> Iterator[pl.DataFrame]:
    for start, end, tick in tick_spans(instrument, load_tick_sizes(), default=tick_size):
        yield from _stream(table, "sanity", instrument, start, end, tick or 0.0, OFF_BAR_BPS)


def _query(table: _Table, name: str, *parameters: Any) -> pl.DataFrame:
    """Return the answer to one of the queries of ``sql/quality``."""
    with table.connection.cursor() as cursor:
        _ask(cursor, table, name, parameters)
        return pl.DataFrame(cursor.fetch_arrow_table())


def _stream(table: _Table, name: str, *parameters: Any) -> Iterator[pl.DataFrame]:
    """Yield the answer to such a query as it comes in, in batches of the driver's (16 MB)."""
    with database_errors(), table.connection.cursor() as cursor:
        _ask(cursor, table, name, parameters)
        for batch in cursor.fetch_record_batch():
            yield pl.DataFrame(batch)


def _ask(cursor: Cursor, table: _Table, name: str, parameters: Sequence[Any]) -> None:
    text = (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
    cursor.execute(text.format(table=table.path), parameters)
