"""What a database holds: of every table and month the number of rows and a checksum.

The checksum is the sum, modulo 2**64, of a digest of each row as text: neither the order of rows
nor where they lie says anything in it, nor whether a chunk is compressed. The server adds it up,
over all its tables, other people's too, and sends nothing but the sums.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from adbc_driver_manager.dbapi import Connection

from etl.database.connection import execute_script, fetch

ALL = "all"
"""The month of a table that has no column `timestamp`."""
_MODULUS = 2**64

# One row, one text: neither the server's settings nor the session's show in it.
_SESSION = """
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL TimeZone = 'UTC';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL jit = off;
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0
"""
_OURS = """
n.nspname !~ '^(pg_|information_schema$|_timescaledb_|timescaledb_)' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
)
"""
# Columns by name: where one lies in a row says nothing either.
_TABLES = f"""
SELECT format('%I.%I', n.nspname, c.relname),
       string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C"),
       bool_or(a.attname = 'timestamp' AND a.atttypid = 'timestamptz'::regtype)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {_OURS}
GROUP BY 1 ORDER BY 1
"""  # noqa: S608  constants
_VIEWS = f"""
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND {_OURS}
ORDER BY 1
"""  # noqa: S608  constants
_SUMS = """
SELECT coalesce(to_char(month, 'YYYY-MM'), '{all}'), count(*), sum(digest)::text
FROM (
    SELECT {month} AS month,
           ('x' || left(md5(ROW({columns})::text), 16))::bit(64)::bigint AS digest
    FROM {table} AS held
) AS rows
GROUP BY 1 ORDER BY 1
"""
_MONTH = "date_trunc('month', held.timestamp AT TIME ZONE 'UTC')"


class Month(NamedTuple):
    """A table, as SQL writes its name, and a month of it, ``2024-05`` or `ALL`."""

    table: str
    month: str

    def __str__(self) -> str:
        """Return the words a message names it by."""
        return self.table if self.month == ALL else f"{self.table} {self.month}"


class Sum(msgspec.Struct, frozen=True, array_like=True):
    """How many rows there are, and the checksum of all of them, as 16 digits."""

    rows: int
    checksum: str

    def __str__(self) -> str:
        """Return the words a message shows it by."""
        return f"{self.rows:,} rows, checksum {self.checksum}"


class Content(msgspec.Struct, frozen=True):
    """All a database holds; of a table without rows the months are none."""

    tables: tuple[str, ...]
    views: tuple[str, ...]
    months: dict[str, dict[str, Sum]]

    @property
    def rows(self) -> int:
        """How many rows it is."""
        return sum(one.rows for one in self.by_month().values())

    def by_month(self) -> dict[Month, Sum]:
        """Return the sums of every table and month."""
        return {
            Month(table, month): one
            for table, months in self.months.items()
            for month, one in months.items()
        }


def tables_of(connection: Connection) -> list[str]:
    """Return the names of a database's tables, as SQL writes them, without those of extensions."""
    return [name for name, *_ in fetch(connection, _TABLES)]


def content_of(connection: Connection) -> Content:
    """Return what a database holds, as the open transaction sees it.

    Settings of the transaction are changed; what it sees of one moment is up to its isolation.
    """
    execute_script(connection, _SESSION)
    tables = fetch(connection, _TABLES)
    months = {name: _sums(connection, *rest) for name, *rest in ((t[0], *t) for t in tables)}
    views = tuple(name for (name,) in fetch(connection, _VIEWS))
    return Content(tuple(name for name, *_ in tables), views, months)


def differences(expected: Content, found: Content) -> dict[Month, str]:
    """Return what differs between two contents, in words, by table and month.

    A table or a view that only one of the two has stands under the month `ALL`.
    """
    told = dict(_only(expected.tables, found.tables, "table"))
    told |= _only(expected.views, found.views, "view")
    ours, theirs = expected.by_month(), found.by_month()
    for one in sorted(ours.keys() | theirs.keys()):
        text = difference(ours, theirs, one)
        if text and Month(one.table, ALL) not in told:
            told[one] = text
    return told


def difference(
    expected: Mapping[Month, Sum], found: Mapping[Month, Sum], month: Month
) -> str | None:
    """Return in words in what a month differs, None if in nothing."""
    before, now = expected.get(month), found.get(month)
    if before == now:
        return None
    return f"{month}: expected {before or 'no rows'}; found {now or 'no rows'}"


def _only(expected: Iterable[str], found: Iterable[str], what: str) -> Iterable[tuple[Month, str]]:
    ours, theirs = set(expected), set(found)
    for name in sorted(ours - theirs):
        yield Month(name, ALL), f"{what} {name} is missing"
    for name in sorted(theirs - ours):
        yield Month(name, ALL), f"{what} {name} is not expected"


def _sums(connection: Connection, table: str, columns: str, has_time: bool) -> dict[str, Sum]:  # noqa: FBT001  (a row of the catalog)
    month = _MONTH if has_time else "NULL::timestamp"
    sql = _SUMS.format(all=ALL, month=month, columns=columns, table=table)
    return {
        name: Sum(rows, f"{int(total) % _MODULUS:016x}")
        for name, rows, total in fetch(connection, sql)
    }
