"""Make a table hold exactly what the lake has of a month, touching only the rows that differ.

The differences are found first, by a query; then those rows are deleted and sent again, within the
bounds of the first and the last of them. In a compressed chunk only the batches between those are
decompressed, and where nothing differs none is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection, Cursor

from etl.database.months import month_bounds
from etl.database.parts import NO_MONTH, Entry
from etl.database.tables import Column, Table

SQL = Path(__file__).parents[2] / "sql" / "load"
SCOPE = "{subject} = $1 AND held.timestamp >= $2 AND held.timestamp < $3"

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


def revise(connection: Connection, table: Table, entry: Entry, rows: pa.Table) -> Differences:
    """Make a table hold exactly `rows` in a month, or as a whole, in the open transaction."""
    has_months = entry.month != NO_MONTH
    where = (entry.subject, *month_bounds(entry.month)) if has_months else ()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.staged, pg_temp.differing")
        cursor.adbc_ingest("staged", rows, mode="create", temporary=True)
        cursor.execute(_statement("differences", table, has_months=has_months), where)
        found, bounds = _found(cursor, has_months=has_months)
        if found.rows:
            _send(cursor, table, (entry.subject, *bounds) if has_months else ())
        cursor.execute("DROP TABLE pg_temp.staged, pg_temp.differing")
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


def _send(cursor: Cursor, table: Table, where: tuple[Any, ...]) -> None:
    # What a compressed chunk holds is planned for as if it were empty: a nested loop over what was
    # decompressed takes a hundred times as long.
    cursor.execute("SET LOCAL enable_nestloop = off")
    cursor.execute(_statement("delete_differing", table, has_months=bool(where)), where)
    cursor.execute(_statement("insert_differing", table, has_months=bool(where)))
    cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")


def _statement(name: str, table: Table, *, has_months: bool) -> str:
    """Return one of the statements of ``sql/load`` for a table."""
    key = table.key_within if has_months else table.key  # a month is of one subject
    values = [column for column in table.columns if column.name not in table.key]
    return (
        (SQL / f"{name}.sql")
        .read_text(encoding="utf-8")
        .format(
            table=table.path,
            key=", ".join(key),
            scope=SCOPE.format(subject=table.subject) if has_months else "true",
            same=" AND ".join(f"differing.{name} = held.{name}" for name in key),
            columns=", ".join(column.name for column in table.columns),
            sent=", ".join(map(_sent, table.columns)),
            held=", ".join(f"held.{column.name}" for column in values),
            staged=", ".join(map(_sent, values)),
        )
    )


def _sent(column: Column) -> str:
    """Return a staged column as its table keeps it."""
    return f"staged.{column.name}::{column.type}"
