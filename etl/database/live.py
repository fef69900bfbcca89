"""Send live rows into the database as they come, in micro-batches of a transaction each.

A table is made to hold the rows for their keys: those that differ are replaced, those that are the
same are not written again, all others stay. The hours and days of what was written follow in the
same transaction, and the ledger says of its months that they are not what was loaded: the next
`load` makes them the lake's, and leaves what is behind the lake's last row.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa
from adbc_driver_manager import dbapi
from adbc_driver_postgresql.dbapi import Connection, Cursor

from etl.config import Settings
from etl.database.connection import connect, database_errors, execute_script, transaction
from etl.database.ledger import LIVE
from etl.database.locks import lock_rows
from etl.database.migrate import LOCK as MIGRATION
from etl.database.parts import check_has_table, has_time, in_table
from etl.database.revise import DROP, allow_compressed, merge
from etl.database.schema import check_schema, latest_version
from etl.database.tables import Table, bars_of, table_of
from etl.dataset import Dataset
from etl.errors import DatabaseError, ExactError, UsageError

# A server that is gone answers nothing: libpq gives up after these, and the server likewise, so
# that whoever waits for a micro-batch waits no longer. PostgreSQL looks for a circle of waiters
# after a second, and would end either of them.
_LIBPQ = {
    "connect_timeout": "3",
    "tcp_user_timeout": "5000",
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "3",
}
_TIMEOUTS = """
SET statement_timeout = '{seconds}s';
SET lock_timeout = '900ms';
SET idle_in_transaction_session_timeout = '{seconds}s'
"""
_COMES_BACK = {"55P03", "40P01"}  # a lock not to be had now, a circle of waiters

_OPEN = """
SELECT pg_try_advisory_xact_lock_shared($1), (SELECT max(version) FROM reference.schema_version)
"""
_MARK = """
INSERT INTO reference.load_ledger (dataset, instrument, month, rows, checksum, source)
SELECT DISTINCT '{table.name}', {table.subject}, date_trunc('month', held.timestamp)::date, 0, '',
    '{live}'
FROM pg_temp.differing AS held
ON CONFLICT (dataset, instrument, month) DO UPDATE
SET rows = excluded.rows, checksum = excluded.checksum, source = excluded.source, loaded_at = now()
WHERE load_ledger.source <> excluded.source
RETURNING 1
"""
# A day at a time, by the key: no plan that reads a whole chunk for a few instruments.
_DAYS = """
SELECT minutes.*
FROM (
    SELECT DISTINCT {subject}, date_trunc('day', timestamp) AS day FROM pg_temp.differing
) AS touched
CROSS JOIN LATERAL (
    SELECT {columns} FROM {table.path} AS held
    WHERE held.{subject} = touched.{subject} AND held.timestamp >= touched.day
        AND held.timestamp < touched.day + INTERVAL '1 day'
    OFFSET 0
) AS minutes
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a micro-batch did to its own table.

    Attributes
    ----------
    inserted, updated : int
        Rows that were not there, and that were there with other values.
    marked : int
        Months that the ledger did not call live before. More than none says that the rows are the
        first of their month, or that a load or a reload was here: send all live rows again.
    is_busy : bool
        Somebody holds what is needed, a load or a migration: nothing was written, try again.
    """

    inserted: int = 0
    updated: int = 0
    marked: int = 0
    is_busy: bool = False


class LiveWriter:
    """A connection that micro-batches are sent by, opened when it is needed; for one thread.

    After an error nothing of the batch is there, and the next one connects anew.
    """

    def __init__(self, settings: Settings, *, seconds: int = 10) -> None:
        """Take where to; `seconds` is the longest that one statement may last."""
        self._settings = settings
        self._seconds = seconds
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """Return the writer; it connects with the first batch."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(self, dataset: Dataset, rows: pa.Table) -> Sent:
        """Make the table of a dataset hold exactly these rows for their keys.

        Parameters
        ----------
        rows
            With the columns of the dataset's contract, each key once, in any order.

        Raises
        ------
        UsageError
            If the dataset has no table, or one without time, or no database is named.
        ExactError
            If a column cannot be cast exactly, or a key comes twice.
        DatabaseError
            If the database cannot be reached, is not what the schema says, or refuses.
        """
        exactly = _checked(dataset, rows)
        if not exactly.num_rows:
            return Sent()
        try:
            with database_errors():
                return self._send(dataset, exactly)
        except DatabaseError:
            self.close()
            raise

    def _send(self, dataset: Dataset, rows: pa.Table) -> Sent:
        try:
            with transaction(self._connected()) as connection:
                if not _is_open(connection):
                    return Sent(is_busy=True)
                lock_rows(connection, dataset)
                with connection.cursor() as cursor:
                    return _write(cursor, dataset, rows)
        except dbapi.Error as error:
            if error.sqlstate in _COMES_BACK:
                return Sent(is_busy=True)
            raise

    def _connected(self) -> Connection:
        if self._connection is None:
            made = connect(self._settings, parameters=_LIBPQ)
            self._connection = made
            execute_script(made, _TIMEOUTS.format(seconds=self._seconds))
            check_schema(made)
            made.commit()
            allow_compressed(made)
        return self._connection


def _checked(dataset: Dataset, rows: pa.Table) -> pa.Table:
    check_has_table(dataset)
    table = table_of(dataset.model)
    if not has_time(table):
        message = f"{dataset.name} has no time: `deribit-lake load` brings it, as a whole"
        raise UsageError(message)
    exactly = in_table(rows, dataset.model)
    keys = pl.DataFrame(exactly.select(table.key))
    twice = keys.filter(keys.is_duplicated())
    if not twice.is_empty():
        row = ", ".join(map(str, twice.row(0)))
        message = f"{dataset.name}: ({', '.join(table.key)}) = ({row}) comes twice, expected once"
        raise ExactError(message)
    return exactly


def _is_open(connection: Connection) -> bool:
    """Whether no migration is running; the schema is to be ours, after one, too."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, (MIGRATION,))
        ((is_free, version),) = cursor.fetchall()
    if is_free and version != latest_version():
        check_schema(connection)
    return bool(is_free)


def _write(cursor: Cursor, dataset: Dataset, rows: pa.Table) -> Sent:
    """Bring rows into their table, and what is resampled from it up to them."""
    table = table_of(dataset.model)
    found = merge(cursor, table, rows)
    marked = _mark(cursor, table) if found.rows else 0
    if found.rows and bars_of(dataset.model):
        from lake.resample import resampled  # noqa: PLC0415  DuckDB takes a quarter of a second

        days = _days(cursor, table)
        for model in bars_of(dataset.model):
            bar = table_of(model)
            made = resampled(days, bar.name, table.name)
            merge(cursor, bar, in_table(made, model, may_hold_nan=True))
            _mark(cursor, bar)
    cursor.execute(DROP)
    return Sent(found.inserted, found.updated, marked)


def _mark(cursor: Cursor, table: Table) -> int:
    """Write that the months of what differed are live, and return of how many that is new."""
    cursor.execute(_MARK.format(table=table, live=LIVE))
    return len(cursor.fetchall())


def _days(cursor: Cursor, table: Table) -> pa.Table:
    """Return all rows of the days, and of their subjects, in which some differed."""
    columns = ", ".join(column.name for column in table.columns)
    cursor.execute(_DAYS.format(table=table, columns=columns, subject=table.key[0]))
    return cursor.fetch_arrow_table()
