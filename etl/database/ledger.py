"""The database's own ledger: what was loaded of each subject and month, and from what."""

from collections.abc import Mapping
from dataclasses import dataclass

from adbc_driver_postgresql.dbapi import Connection

from etl.catalog import DATASETS
from etl.database.connection import transaction
from etl.database.parts import Entry, partition_of
from lake.partition import Partition


@dataclass(frozen=True, slots=True)
class Held:
    """What the database says it holds of one subject and month."""

    rows: int
    checksum: str
    source: str


def held_by_file(connection: Connection) -> dict[Partition, dict[Entry, Held]]:
    """Return the lines of the ledger by the partition of the lake they are from."""
    found: dict[Partition, dict[Entry, Held]] = {}
    with transaction(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT dataset, instrument, month, rows, checksum, source FROM reference.load_ledger"
        )
        for dataset, subject, month, *rest in cursor.fetchall():
            entry = Entry(subject, month)
            if dataset in DATASETS:
                partition = partition_of(DATASETS[dataset], entry)
                found.setdefault(partition, {})[entry] = Held(*rest)
    return found


def note(
    connection: Connection,
    dataset: str,
    source: str,
    rows: Mapping[Entry, int],
    sums: Mapping[Entry, str],
) -> None:
    """Write what months now hold, in the transaction that loads them; no rows, no line."""
    with connection.cursor() as cursor:
        for entry, count in rows.items():
            if sums[entry]:
                cursor.execute(_UPSERT, (dataset, *entry, count, sums[entry], source))
            else:
                cursor.execute(_DELETE, (dataset, *entry))


def forget(connection: Connection, dataset: str) -> None:
    """Drop the lines of a dataset, in the transaction that empties its table."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM reference.load_ledger WHERE dataset = $1", (dataset,))


_UPSERT = """
    INSERT INTO reference.load_ledger (dataset, instrument, month, rows, checksum, source)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (dataset, instrument, month) DO UPDATE SET
        rows = excluded.rows, checksum = excluded.checksum, source = excluded.source,
        loaded_at = now()
"""
_DELETE = "DELETE FROM reference.load_ledger WHERE dataset = $1 AND instrument = $2 AND month = $3"
