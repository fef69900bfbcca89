"""Load the lake into TimescaleDB: what changed, in bounded transactions, by COPY.

The database keeps a ledger of its own, a content checksum per instrument and month. A year whose
checksum in the lake is the one it was loaded from is not even read; a month that is new is
appended as it is; a month that changed goes to a temporary table first, and exactly the rows that
differ are deleted, updated and inserted. Every step is one transaction with its ledger row.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.config import Settings
from etl.connection import connect, database_errors
from etl.database import check_schema
from etl.errors import LoadError
from etl.months import clean_table, is_touched, month_bounds, months_of, schema_of
from etl.progress import Progress
from lake.ledger import Record, Span, records
from lake.paths import Lake, Partition, open_lake
from lake.read import checksum

logger = logging.getLogger(__name__)

LOADED = ("perpetuals_ohlcv", "futures_ohlcv", "funding_rates", "index_prices")
SQL = Path(__file__).parent.parent / "sql" / "load"
LOCK = 0x64657269  # "deri": one loader at a time per database


@dataclass(frozen=True, slots=True)
class Held:
    """What the database says it holds of one instrument and month."""

    rows: int
    checksum: str
    source: str


@dataclass(slots=True)
class LoadReport:
    """What a load did, in rows and months."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    months_loaded: int = 0
    months_unchanged: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


def load(
    settings: Settings,
    progress: Progress,
    *,
    datasets: Sequence[str] = LOADED,
    instruments: Sequence[str] | None = None,
    span: Span | None = None,
    full: bool = False,
) -> LoadReport:
    """Bring the database up to the lake and return what that took.

    Raises
    ------
    DatabaseError
        If the database cannot be reached, is not what the schema says, or refuses a step.
    LoadError
        If another load is running, or a file of the lake is not what its ledger says.
    """
    started = time.monotonic()
    lake, report = open_lake(settings.root), LoadReport()
    chosen = [
        (partition, record)
        for name in datasets
        for partition, record in records(lake, name)
        if instruments is None or partition.instrument in instruments
    ]
    with database_errors(), connect(settings) as connection:
        check_schema(connection)
        _allow_compressed(connection)
        with _only_loader(connection):
            held = _held(connection)
            for partition, _ in chosen:
                progress.expect(partition.instrument, 1)
            for partition, record in chosen:
                months = held.get((partition.dataset, partition.instrument), {})
                year = {month: one for month, one in months.items() if month.year == partition.year}
                _load_year(_Year(connection, lake, partition, record, year, span, full), report)
                progress.advance(partition.instrument)
            report.notes += _strangers(held, chosen)
    report.seconds = time.monotonic() - started
    return report


def empty(settings: Settings, datasets: Sequence[str] = LOADED) -> None:
    """Empty the tables and forget what was loaded, in one transaction: `load` then loads all.

    Raises
    ------
    DatabaseError, LoadError
        As `load`.
    """
    with database_errors(), connect(settings) as connection:
        check_schema(connection)
        with _only_loader(connection), _transaction(connection), connection.cursor() as cursor:
            for name in datasets:
                cursor.execute(f"TRUNCATE public.{name}")
                cursor.execute("DELETE FROM reference.load_ledger WHERE dataset = $1", (name,))


@dataclass(frozen=True, slots=True)
class _Year:
    """One partition of the lake on its way into the database."""

    connection: Connection
    lake: Lake
    partition: Partition
    record: Record
    held: dict[date, Held]
    span: Span | None
    full: bool


def _load_year(year: _Year, report: LoadReport) -> None:
    if not year.full and _is_unchanged(year):
        report.months_unchanged += len(year.held)
        return
    parts = months_of(clean_table(year.lake, year.partition, year.record))
    sums = {month: checksum(part) for month, part in parts.items()}
    for month in year.held.keys() - parts.keys():
        parts[month], sums[month] = schema_of(year.partition.dataset).empty_table(), ""
    chosen = sorted(month for month in parts if is_touched(month, year.span))
    changed = [m for m in chosen if year.full or _differs(year.held.get(m), sums[m])]
    fresh = [month for month in changed if month not in year.held and sums[month]]
    report.months_unchanged += len(chosen) - len(changed)
    if fresh and not _append(year, {month: parts[month] for month in fresh}, sums, report):
        fresh = []
    for month in changed:
        if month not in fresh:
            _revise(year, month, parts[month], sums[month], report)
    same = [month for month in chosen if month not in changed]
    with _transaction(year.connection):
        _note(year, {month: parts[month].num_rows for month in same}, sums)


def _append(
    year: _Year, parts: dict[date, pa.Table], sums: dict[date, str], report: LoadReport
) -> bool:
    """Append months the table holds nothing of, and say whether that was so."""
    table = pa.concat_tables(parts.values())
    with _transaction(year.connection) as connection, connection.cursor() as cursor:
        bounds = (month_bounds(min(parts))[0], month_bounds(max(parts))[1])
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM public.{year.partition.dataset} "  # noqa: S608  (our table)
            "WHERE instrument = $1 AND timestamp >= $2 AND timestamp < $3)",
            (year.partition.instrument, *bounds),
        )
        if cursor.fetchone() == (True,):
            return False
        cursor.adbc_ingest(year.partition.dataset, table, mode="append", db_schema_name="public")
        _note(year, {month: part.num_rows for month, part in parts.items()}, sums)
    report.inserted += table.num_rows
    report.months_loaded += len(parts)
    return True


def _revise(year: _Year, month: date, part: pa.Table, total: str, report: LoadReport) -> None:
    """Make the table hold exactly `part` in a month, touching only the rows that differ."""
    where = (year.partition.instrument, *month_bounds(month))
    with _transaction(year.connection) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.staged")
        cursor.adbc_ingest("staged", part, mode="create", temporary=True)
        cursor.execute("ANALYZE pg_temp.staged")
        counts = []
        for step in ("delete_gone", "update_changed", "insert_missing"):
            cursor.execute(_statement(step, year, part.column_names), where)
            (count,) = cursor.fetchone() or (0,)
            counts.append(count)
        cursor.execute("DROP TABLE pg_temp.staged")
        _note(year, {month: part.num_rows}, {month: total})
    report.deleted += counts[0]
    report.updated += counts[1]
    report.inserted += counts[2]
    report.months_loaded += 1


def _note(year: _Year, rows: dict[date, int], sums: dict[date, str]) -> None:
    """Write what months now hold into the ledger; a month without rows has no entry."""
    subject = (year.partition.dataset, year.partition.instrument)
    source = year.record.checksum or ""
    entries = [(*subject, month, count, sums[month], source) for month, count in rows.items()]
    with year.connection.cursor() as cursor:
        for entry in entries:
            if entry[3]:
                cursor.execute(_LEDGER_UPSERT, entry)
            else:
                cursor.execute(_LEDGER_DELETE, entry[:3])


def _statement(name: str, year: _Year, columns: Sequence[str]) -> str:
    """Return one of the statements of ``sql/load`` for a table."""
    values = [column for column in columns if column not in {"timestamp", "instrument"}]
    return (
        (SQL / f"{name}.sql")
        .read_text(encoding="utf-8")
        .format(
            table=f"public.{year.partition.dataset}",
            columns=", ".join(columns),
            assignments=", ".join(f"{column} = staged.{column}" for column in values),
            held=", ".join(f"held.{column}" for column in values),
            staged=", ".join(f"staged.{column}" for column in values),
        )
    )


_LEDGER_UPSERT = """
    INSERT INTO reference.load_ledger (dataset, instrument, month, rows, checksum, source)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (dataset, instrument, month) DO UPDATE SET
        rows = excluded.rows, checksum = excluded.checksum, source = excluded.source,
        loaded_at = now()
"""
_LEDGER_DELETE = (
    "DELETE FROM reference.load_ledger WHERE dataset = $1 AND instrument = $2 AND month = $3"
)


def _is_unchanged(year: _Year) -> bool:
    """Whether the database was loaded, whole, from the very content the lake has."""
    rows = sum(held.rows for held in year.held.values())
    from_here = all(held.source == year.record.checksum for held in year.held.values())
    return from_here and rows == year.record.rows


def _differs(held: Held | None, total: str) -> bool:
    return held is None or held.checksum != total


def _held(connection: Connection) -> dict[tuple[str, str], dict[date, Held]]:
    found: dict[tuple[str, str], dict[date, Held]] = {}
    with _transaction(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT dataset, instrument, month, rows, checksum, source FROM reference.load_ledger"
        )
        for dataset, instrument, month, *rest in cursor.fetchall():
            found.setdefault((dataset, instrument), {})[month] = Held(*rest)
    return found


def _strangers(
    held: dict[tuple[str, str], dict[date, Held]],
    chosen: Sequence[tuple[Partition, Record]],
) -> list[str]:
    """Name what the database holds and this lake has never heard of: it is left alone."""
    known = {(partition.dataset, partition.instrument, partition.year) for partition, _ in chosen}
    datasets = {partition.dataset for partition, _ in chosen}
    return [
        f"the database holds {dataset} {instrument} {year}, which this lake does not know"
        for dataset, instrument, year in sorted(
            {(*subject, month.year) for subject, months in held.items() for month in months}
        )
        if dataset in datasets and (dataset, instrument, year) not in known
    ]


def _allow_compressed(connection: Connection) -> None:
    """Let a revision decompress as many rows as it meets, where the server compresses at all."""
    with _transaction(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config(name, '0', false) FROM pg_settings "
            "WHERE name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'"
        )


@contextmanager
def _only_loader(connection: Connection) -> Iterator[None]:
    """Hold the lock one loader at a time has; it ends with the connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock($1)", (LOCK,))
        if cursor.fetchone() != (True,):
            cursor.execute(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1", (LOCK,)
            )
            (pid,) = cursor.fetchone() or ("unknown",)
            message = f"another load is running: server process {pid} holds the loader's lock"
            raise LoadError(message)
    connection.commit()
    yield


@contextmanager
def _transaction(connection: Connection) -> Iterator[Connection]:
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
