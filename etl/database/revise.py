"""Make a table hold exactly what the lake has of a month, touching only the rows that differ.

The differences are found first, by a query; then those rows are deleted and sent again, within the
bounds of the first and the last of them. In a compressed chunk only the batches between those are
decompressed, and where nothing differs none is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_postgresql.dbapi import Connection, Cursor

from etl.database.connection import transaction
from etl.database.months import month_bounds
from etl.database.parts import NO_MONTH, Entry
from etl.database.read import SCOPE
from etl.database.tables import Column, Table

SQL = Path(__file__).parents[2] / "sql" / "load"

DROP = "DROP TABLE IF EXISTS pg_temp.staged, pg_temp.differing"

# Names as a list, so that the key of the table leads to their rows; none has a comma.
_SOME = (
    "held.{subject} = ANY (string_to_array($1::text, ',')) "
    "AND held.timestamp >= $2 AND held.timestamp < $3"
)
_INSTANT = timedelta(microseconds=1)  # the database's own grain
_COUNTS = (
    "count(*) FILTER (WHERE NOT is_staged), count(*) FILTER (WHERE is_held AND is_staged), "
    "count(*) FILTER (WHERE NOT is_held)"
)


@dataclass(frozen=True, slots=True)
class Differences:
    """How many rows of a table had to be inserted, updated and deleted."""

    inserted: int
    updated: int
    deleted: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.inserted + self.updated + self.deleted


def allow_compressed(connection: Connection) -> None:
    """Let a revision decompress as many rows as it meets, where the server compresses at all."""
    with transaction(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config(name, '0', false) FROM pg_settings "
            "WHERE name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'"
        )


@dataclass(frozen=True, slots=True)
class _Reach:
    """The rows of a table that staged ones are held against, by a key."""

    table: Table
    key: tuple[str, ...]
    scope: str  # SQL of `held`, of a subject or some, and two moments, where the rows have times
    join: Literal["FULL", "RIGHT"]  # rows that are not staged are to go, or stay


def revise(connection: Connection, table: Table, entry: Entry, rows: pa.Table) -> Differences:
    """Make a table hold exactly `rows` in a month, or as a whole, in the open transaction."""
    where: tuple[Any, ...] = ()
    if entry.month == NO_MONTH:
        reach = _Reach(table, table.key, "true", "FULL")
    else:
        scope = SCOPE.format(subject=table.subject)
        reach = _Reach(table, table.key_within, scope, "FULL")
        where = (entry.subject, *month_bounds(entry.month))
    with connection.cursor() as cursor:
        found = _make(cursor, reach, where, rows)
        cursor.execute(DROP)
    return found


def merge(cursor: Cursor, table: Table, rows: pa.Table) -> Differences:
    """Make a table hold `rows` for their keys, in the open transaction; all others stay.

    The keys of those that it had not, or had otherwise, are left in ``pg_temp.differing``.
    """
    times, subject = pc.min_max(rows["timestamp"]).as_py(), table.key[0]
    subjects = ",".join(pc.unique(rows[subject]).to_pylist())
    reach = _Reach(table, table.key, _SOME.format(subject=subject), "RIGHT")
    return _make(cursor, reach, (subjects, times["min"], times["max"] + _INSTANT), rows)


def _make(cursor: Cursor, reach: _Reach, where: tuple[Any, ...], rows: pa.Table) -> Differences:
    cursor.execute(DROP)
    cursor.adbc_ingest("staged", rows, mode="create", temporary=True)
    cursor.execute(_statement("differences", reach), where)
    found, bounds = _found(cursor, has_months=bool(where))
    if found.rows:
        # What a compressed chunk holds is planned for as if it were empty: a nested loop over what
        # was decompressed takes a hundred times as long.
        cursor.execute("SET LOCAL enable_nestloop = off")
        if found.updated or found.deleted:
            narrow = (where[0], *bounds) if where else ()
            cursor.execute(_statement("delete_differing", reach), narrow)
        cursor.execute(_statement("insert_differing", reach))
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
    return found


def _found(cursor: Cursor, *, has_months: bool) -> tuple[Differences, tuple[datetime, ...]]:
    """Return the differences and, where there are any, the moments they lie between."""
    bounds = ", min(timestamp), max(timestamp)" if has_months else ""
    cursor.execute(f"SELECT {_COUNTS}{bounds} FROM pg_temp.differing")  # noqa: S608  (ours)
    ((deleted, updated, inserted, *moments),) = cursor.fetchall()
    found = Differences(inserted, updated, deleted)
    if not (found.rows and moments):
        return found, ()
    return found, (moments[0], moments[1] + _INSTANT)


def _statement(name: str, reach: _Reach) -> str:
    """Return one of the statements of ``sql/load`` for a table."""
    table = reach.table
    values = [column for column in table.columns if column.name not in table.key]
    return (
        (SQL / f"{name}.sql")
        .read_text(encoding="utf-8")
        .format(
            table=table.path,
            key=", ".join(reach.key),
            scope=reach.scope,
            join=reach.join,
            same=" AND ".join(f"differing.{name} = held.{name}" for name in reach.key),
            columns=", ".join(column.name for column in table.columns),
            sent=", ".join(map(_sent, table.columns)),
            held=", ".join(f"held.{column.name}" for column in values),
            staged=", ".join(map(_sent, values)),
        )
    )


def _sent(column: Column) -> str:
    """Return a staged column as its table keeps it."""
    return f"staged.{column.name}::{column.type}"
