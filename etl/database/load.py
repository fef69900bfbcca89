"""Load the lake into TimescaleDB: what changed, in bounded transactions, by COPY.

The database keeps a ledger of its own, a content checksum per subject and month. A file whose
checksum in the lake is the one it was loaded from is not even read; a month that is new is
appended as it is; a month that changed goes to a temporary table first, and exactly the rows that
differ are deleted, updated and inserted. Every step is one transaction with its ledger row.
"""

import logging
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.config import Settings
from etl.database.connection import connect, database_errors, transaction
from etl.database.ledger import Held, forget, held_by_file, note
from etl.database.months import is_touched, month_bounds
from etl.database.parts import (
    NO_MONTH,
    Batch,
    Entry,
    batches,
    check_has_table,
    loadable,
    schema_of,
    strays,
)
from etl.database.schema import check_schema
from etl.database.tables import Column, Table, table_of
from etl.dataset import Dataset
from etl.errors import LoadError
from etl.progress import Progress
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum
from lake.span import Span

logger = logging.getLogger(__name__)

SQL = Path(__file__).parents[2] / "sql" / "load"
LOCK = 0x64657269  # "deri": one loader at a time per database


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


def load(  # noqa: PLR0913  (the options of one command)
    settings: Settings,
    lake: Lake,
    progress: Progress,
    *,
    datasets: Sequence[Dataset] | None = None,
    parts: Sequence[str] | None = None,
    span: Span | None = None,
    full: bool = False,
) -> LoadReport:
    """Bring the database up to the lake and return what that took.

    Parameters
    ----------
    datasets
        Without any, all that have a table.
    parts
        Instruments, indices or underlyings; None for all.
    span
        Only months it reaches into. What has no months is left out.
    full
        Compare every row again, whatever the ledger of the database says.

    Raises
    ------
    DatabaseError
        If the database cannot be reached, is not what the schema says, or refuses a step.
    LoadError
        If another load is running, or a file of the lake is not what its ledger says.
    """
    started, report = time.monotonic(), LoadReport()
    datasets = loadable() if datasets is None else datasets
    there = [batch for one in datasets for batch in batches(lake, one)]
    chosen = [batch for batch in there if parts is None or batch.partition.part in parts]
    with database_errors(), connect(settings) as connection:
        check_schema(connection)
        _allow_compressed(connection)
        with _only_loader(connection):
            held = held_by_file(connection)
            files = [
                _File(connection, one, held.get(one.partition, {}), span, full) for one in chosen
            ]
            changed = [file for file in files if full or not _is_unchanged(file)]
            report.months_unchanged += _lines(files) - _lines(changed)
            for file in changed:
                progress.expect(file.batch.partition.part, 1)
            for file, contents in _read_ahead(changed):
                _load_file(file, contents, report)
                progress.advance(file.batch.partition.part)
            names = [one.name for one in datasets]
            report.notes += _strangers(held, {batch.partition for batch in there}, names)
    report.notes += [note for one in datasets for note in strays(lake, one)]
    report.seconds = time.monotonic() - started
    return report


def check_loadable(settings: Settings, dataset: Dataset) -> None:
    """Refuse, before a long backfill, what could not be loaded after it.

    Raises
    ------
    UsageError
        If the dataset has no table: other resolutions than one minute are never loaded.
    DatabaseError
        If the database cannot be reached or is not what the schema says.
    """
    check_has_table(dataset)
    with database_errors(), connect(settings) as connection:
        check_schema(connection)


def empty(settings: Settings, datasets: Sequence[Dataset]) -> None:
    """Empty the tables and forget what was loaded, in one transaction: `load` then loads all.

    Raises
    ------
    DatabaseError, LoadError
        As `load`.
    """
    with database_errors(), connect(settings) as connection:
        check_schema(connection)
        with _only_loader(connection), transaction(connection), connection.cursor() as cursor:
            for one in datasets:
                cursor.execute(f"TRUNCATE {table_of(one.model).path}")
                forget(connection, one.name)


@dataclass(frozen=True, slots=True)
class _File:
    """One file of the lake on its way into the database."""

    connection: Connection
    batch: Batch
    held: Mapping[Entry, Held]
    span: Span | None
    full: bool

    @property
    def table(self) -> Table:
        return table_of(self.batch.dataset.model)

    def note(self, rows: Mapping[Entry, int], sums: Mapping[Entry, str]) -> None:
        note(self.connection, self.batch.dataset.name, self.batch.source, rows, sums)


def _lines(files: Iterable[_File]) -> int:
    return sum(len(file.held) for file in files)


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a file holds, and the checksum of each part."""

    parts: dict[Entry, pa.Table]
    sums: dict[Entry, str]


def _read(file: _File) -> _Contents:
    parts = dict(file.batch.read())
    return _Contents(parts, {entry: checksum(part) for entry, part in parts.items()})


def _read_ahead(files: Sequence[_File]) -> Iterator[tuple[_File, _Contents]]:
    """Yield files with their contents; the next is read while one is sent."""
    with ThreadPoolExecutor(1, "read") as pool:
        waiting = deque(pool.submit(_read, file) for file in files[:1])
        for number, file in enumerate(files):
            contents = waiting.popleft().result()
            waiting.extend(pool.submit(_read, one) for one in files[number + 1 : number + 2])
            yield file, contents


def _load_file(file: _File, contents: _Contents, report: LoadReport) -> None:
    parts, sums = contents.parts, contents.sums
    for entry in file.held.keys() - parts.keys():
        parts[entry], sums[entry] = schema_of(file.batch.dataset).empty_table(), ""
    chosen = sorted(entry for entry in parts if is_touched(entry.month, file.span))
    changed = [
        entry for entry in chosen if file.full or _differs(file.held.get(entry), sums[entry])
    ]
    fresh = [entry for entry in changed if _is_appendable(entry, file, sums)]
    report.months_unchanged += len(chosen) - len(changed)
    if fresh and not _append(file, {entry: parts[entry] for entry in fresh}, sums, report):
        fresh = []
    for entry in sorted(set(changed) - set(fresh)):
        _revise(file, entry, parts[entry], sums[entry], report)
    same = set(chosen) - set(changed)
    with transaction(file.connection):
        file.note({entry: parts[entry].num_rows for entry in same}, sums)


def _is_appendable(entry: Entry, file: _File, sums: Mapping[Entry, str]) -> bool:
    """Whether rows are new and can be sent as they are: JSON is read by the server, from a copy."""
    return entry.month != NO_MONTH and entry not in file.held and sums[entry] != ""


def _append(
    file: _File, parts: Mapping[Entry, pa.Table], sums: Mapping[Entry, str], report: LoadReport
) -> bool:
    """Append months the table holds nothing of, and say whether that was so."""
    table, rows = file.table, pa.concat_tables(parts.values())
    months: dict[str, list[Entry]] = {}
    for entry in parts:
        months.setdefault(entry.subject, []).append(entry)
    with transaction(file.connection) as connection, connection.cursor() as cursor:
        for subject, entries in months.items():
            bounds = (month_bounds(entries[0].month)[0], month_bounds(entries[-1].month)[1])
            cursor.execute(
                f"SELECT EXISTS (SELECT FROM {table.path} AS held WHERE {_SCOPE})".format(  # noqa: S608  (our table)
                    subject=table.key[0]
                ),
                (subject, *bounds),
            )
            if cursor.fetchone() == (True,):
                return False
        cursor.adbc_ingest(table.name, rows, mode="append", db_schema_name=table.schema)
        file.note({entry: part.num_rows for entry, part in parts.items()}, sums)
    report.inserted += rows.num_rows
    report.months_loaded += len(parts)
    return True


def _revise(file: _File, entry: Entry, part: pa.Table, total: str, report: LoadReport) -> None:
    """Make the table hold exactly `part` in a month, touching only the rows that differ."""
    where: tuple[Any, ...] = ()
    if entry.month != NO_MONTH:
        where = (entry.subject, *month_bounds(entry.month))
    with transaction(file.connection) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.staged")
        cursor.adbc_ingest("staged", part, mode="create", temporary=True)
        cursor.execute("ANALYZE pg_temp.staged")
        counts = []
        for step in ("delete_gone", "update_changed", "insert_missing"):
            cursor.execute(_statement(step, file.table, has_months=bool(where)), where)
            (count,) = cursor.fetchone() or (0,)
            counts.append(count)
        cursor.execute("DROP TABLE pg_temp.staged")
        file.note({entry: part.num_rows}, {entry: total})
    report.deleted += counts[0]
    report.updated += counts[1]
    report.inserted += counts[2]
    report.months_loaded += 1


_SCOPE = "held.{subject} = $1 AND held.timestamp >= $2 AND held.timestamp < $3"


def _statement(name: str, table: Table, *, has_months: bool) -> str:
    """Return one of the statements of ``sql/load`` for a table."""
    subject, *rest = table.key
    key = rest if has_months else table.key  # a month is of one subject
    values = [column for column in table.columns if column.name not in table.key]
    return (
        (SQL / f"{name}.sql")
        .read_text(encoding="utf-8")
        .format(
            table=table.path,
            scope=_SCOPE.format(subject=subject) if has_months else "true",
            same=" AND ".join(f"staged.{name} = held.{name}" for name in key),
            columns=", ".join(column.name for column in table.columns),
            sent=", ".join(_sent(column) for column in table.columns),
            assignments=", ".join(f"{column.name} = {_sent(column)}" for column in values),
            held=", ".join(f"held.{column.name}" for column in values),
            staged=", ".join(_sent(column) for column in values),
        )
    )


def _sent(column: Column) -> str:
    """Return a staged column as its table keeps it."""
    return f"staged.{column.name}{'::jsonb' if column.type == 'jsonb' else ''}"


def _is_unchanged(file: _File) -> bool:
    """Whether the database was loaded, whole, from the very content the lake has."""
    rows = sum(held.rows for held in file.held.values())
    from_here = all(held.source == file.batch.source for held in file.held.values())
    return from_here and rows == file.batch.rows


def _differs(held: Held | None, total: str) -> bool:
    return held is None or held.checksum != total


def _strangers(
    held: Mapping[Partition, object], known: Collection[Partition], datasets: Collection[str]
) -> list[str]:
    """Name what the database holds and this lake has never heard of: it is left alone."""
    return [
        f"the database holds {one}, which this lake does not know"
        for one in sorted(held)
        if one.dataset in datasets and one not in known
    ]


def _allow_compressed(connection: Connection) -> None:
    """Let a revision decompress as many rows as it meets, where the server compresses at all."""
    with transaction(connection), connection.cursor() as cursor:
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
