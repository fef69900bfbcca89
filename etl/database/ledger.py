"""The database's own ledger: what was loaded of each subject and month, and from what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.database.connection import transaction
from etl.database.parts import Entry, loadable, models_of, partition_of
from lake.partition import Partition

LIVE = "live"
"""The source of a month that micro-batches wrote in, of no rows and no checksum: it is loaded
again, by older versions, too, whatever the lake has of it."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the database says it holds of one subject and month."""

    rows: int
    checksum: str
    source: str

    @property
    def is_live(self) -> bool:
        """Whether micro-batches wrote in that month since: what it holds, nobody says."""
        return self.source == LIVE


def held_by_file(connection: Connection) -> dict[Partition, dict[Entry, Held]]:
    """Return the lines of the ledger by the partition of the lake they are from."""
    found: dict[Partition, dict[Entry, Held]] = {}
    owners = {table: dataset for dataset in loadable() for table in models_of(dataset)}
    with transaction(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT dataset, instrument, month, rows, checksum, source FROM reference.load_ledger"
        )
        for table, subject, month, *rest in cursor.fetchall():
            entry = Entry(table, subject, month)
            if table in owners:
                partition = partition_of(owners[table], entry)
                found.setdefault(partition, {})[entry] = Held(*rest)
    return found


def note(
    connection: Connection,
    source: str,
    rows: Mapping[Entry, int],
    sums: Mapping[Entry, str],
) -> None:
    """Write what months now hold, in the transaction that loads them; no rows, no line."""
    held = [(*entry, count, sums[entry], source) for entry, count in rows.items() if sums[entry]]
    gone = [tuple(entry) for entry in rows if not sums[entry]]
    with connection.cursor() as cursor:
        if held:
            cursor.executemany(_UPSERT, _batch(held, list(_LINE)))
        if gone:
            cursor.executemany(_DELETE, _batch(gone, list(_LINE)[:3]))


def _batch(lines: Sequence[tuple[Any, ...]], fields: Sequence[pa.Field]) -> pa.RecordBatch:
    """Return lines as the driver takes many at once; one by one each costs it two milliseconds."""
    columns = zip(*lines, strict=True)
    arrays = [pa.array(column, one.type) for column, one in zip(columns, fields, strict=True)]
    return pa.record_batch(arrays, schema=pa.schema(fields))


def confirm(connection: Connection, source: str, held: Mapping[Entry, Held]) -> None:
    """Write from which file months are that it has as they were loaded; others stay as they are."""
    if held:
        lines = [(*entry, one.rows, one.checksum, source) for entry, one in held.items()]
        with connection.cursor() as cursor:
            cursor.executemany(_CONFIRM, _batch(lines, list(_LINE)))


def note_live(connection: Connection, months: Iterable[Entry]) -> None:
    """Write that months hold rows of micro-batches, in the transaction that leaves them there."""
    lines = [(*entry, 0, "", LIVE) for entry in months]
    with connection.cursor() as cursor:
        cursor.executemany(_UPSERT, _batch(lines, list(_LINE)))


def live_months(connection: Connection) -> list[Entry]:
    """Return the months of datasets' own tables that micro-batches wrote in, sorted."""
    with connection.cursor() as cursor:
        cursor.execute(_LIVE_MONTHS, (LIVE,))
        return sorted(Entry(*line) for line in cursor.fetchall())


def is_live(connection: Connection, month: Entry) -> bool:
    """Whether a line says, in the open transaction, that micro-batches wrote in a month."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_LIVE, (*month, LIVE))
        return bool(cursor.fetchone() == (True,))


def forget(connection: Connection, table: str) -> None:
    """Drop the lines of a table, in the transaction that empties it."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM reference.load_ledger WHERE dataset = $1", (table,))


_LINE = pa.schema(
    {
        "dataset": pa.string(),
        "instrument": pa.string(),
        "month": pa.date32(),
        "rows": pa.int64(),
        "checksum": pa.string(),
        "source": pa.string(),
    }
)
_UPSERT = """
    INSERT INTO reference.load_ledger (dataset, instrument, month, rows, checksum, source)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (dataset, instrument, month) DO UPDATE SET
        rows = excluded.rows, checksum = excluded.checksum, source = excluded.source,
        loaded_at = now()
"""
_CONFIRM = """
    UPDATE reference.load_ledger SET rows = $4, source = $6, loaded_at = now()
    WHERE dataset = $1 AND instrument = $2 AND month = $3 AND checksum = $5
"""
_LIVE_MONTHS = "SELECT dataset, instrument, month FROM reference.load_ledger WHERE source = $1"
_IS_LIVE = """
    SELECT EXISTS (SELECT FROM reference.load_ledger
    WHERE dataset = $1 AND instrument = $2 AND month = $3 AND source = $4)
"""
_DELETE = "DELETE FROM reference.load_ledger WHERE dataset = $1 AND instrument = $2 AND month = $3"
