"""Hold a restored database against the one that lives, by table and month.

What differs because more was loaded since is newer, and no fault: then the lines of the loader's
own books differ, too. Tables of other people are not held against anything but the dump.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date

from adbc_driver_manager.dbapi import Connection

from etl.backup.compare import Compared
from etl.database.connection import connect_to, database_errors, execute_script, fetch
from etl.database.content import ALL, Content, Month, content_of, difference
from etl.database.parts import NO_MONTH
from etl.database.tables import tables

_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_LINES = """
SELECT dataset, month, instrument, rows, checksum, source, loaded_at::text
FROM reference.load_ledger ORDER BY 1, 2, 3
"""
BOOKS = ("load_ledger", "schema_version")

Lines = Mapping[tuple[str, str], Collection[tuple[object, ...]]]
"""The lines of the books, by the name of the table and the month they are of."""


def compare_databases(live: str, restored: str) -> Compared:
    """Return what of two databases, by their DSNs, is the same.

    Raises
    ------
    DatabaseError
        If one of them cannot be read.
    """
    before, lines_before = _look(restored)
    now, lines_now = _look(live)
    found = Compared()
    ours = {table.path: table.name for table in tables().values()}
    _compare_names(found, before, now, set(ours))
    sums_before, sums_now = before.by_month(), now.by_month()
    for one in sorted(sums_before.keys() | sums_now.keys()):
        name = ours.get(one.table)
        if name is None or name in BOOKS or one.table not in now.tables:
            continue
        text = difference(sums_before, sums_now, one)
        key = (name, one.month)
        if text is None:
            found.same += 1
            found.rows += sums_now[one].rows
        elif lines_before.get(key) != lines_now.get(key):
            found.newer.append(_told(one, sums_before, sums_now))
        else:
            found.faults.append(f"{text}; the books say nothing was loaded since")
    return found


def _look(dsn: str) -> tuple[Content, Lines]:
    """Return what a database holds, and its books, of one moment."""
    with database_errors(), connect_to(dsn) as connection:
        execute_script(connection, _ONE_MOMENT)
        return content_of(connection), _lines(connection)


def _lines(connection: Connection) -> Lines:
    found: dict[tuple[str, str], list[tuple[object, ...]]] = defaultdict(list)
    if fetch(connection, "SELECT to_regclass('reference.load_ledger')::text") == [(None,)]:
        return found
    for name, month, *rest in fetch(connection, _LINES):
        found[name, _month(month)].append(tuple(rest))
    return found


def _month(first: date) -> str:
    return ALL if first == NO_MONTH else f"{first:%Y-%m}"


def _compare_names(found: Compared, before: Content, now: Content, ours: Collection[str]) -> None:
    """Add our tables and views that one of the two lacks."""
    for what, old, new in (
        ("table", before.tables, now.tables),
        ("view", before.views, now.views),
    ):
        for name in sorted(set(old) - set(new)):
            if what == "view" or name in ours:
                found.faults.append(f"{what} {name}: the database has lost it")
        found.newer += [f"{what} {name}: made since" for name in sorted(set(new) - set(old))]


def _told(one: Month, before: Mapping[Month, object], now: Mapping[Month, object]) -> str:
    return f"{one}: loaded since, from {before.get(one, 'no rows')} to {now.get(one, 'no rows')}"
