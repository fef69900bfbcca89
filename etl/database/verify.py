"""Hold the database against the lake: counts, bounds and content, by instrument and month."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.config import Settings
from etl.database.connection import connect, database_errors
from etl.database.months import months_of
from etl.database.parts import (
    NO_MONTH,
    Entry,
    batches,
    bounds_of,
    has_time,
    in_table,
    loadable,
)
from etl.database.schema import check_schema
from etl.database.tables import table_of
from etl.dataset import Dataset
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum


@dataclass(frozen=True, slots=True)
class Difference:
    """One month, or one instrument, in which the database is not what the lake is."""

    dataset: str
    instrument: str
    month: str
    lake: str
    database: str


def verify_database(
    settings: Settings, lake: Lake, datasets: Sequence[Dataset] | None = None
) -> tuple[int, list[Difference]]:
    """Return the number of rows compared, and every difference.

    Both sides pass through one Arrow function: the database is read back, not asked for a digest.

    Raises
    ------
    DatabaseError
        If the database cannot be read or is not what the schema says.
    LoadError, CorruptFileError
        If a file of the lake is not what its ledger says.
    """
    compared = 0
    found: list[Difference] = []
    with database_errors(), connect(settings) as connection:
        check_schema(connection)
        for dataset in loadable() if datasets is None else datasets:
            rows: Counter[str] = Counter()
            for batch in batches(lake, dataset):
                held = batch.read()
                for subject in sorted({entry.subject for entry in held} or {batch.partition.part}):
                    there = _read_back(connection, dataset, batch.partition, subject)
                    ours = {entry: part for entry, part in held.items() if entry.subject == subject}
                    found += _compare(dataset.name, ours, there)
                    rows[subject] += sum(part.num_rows for part in there.values())
                compared += sum(part.num_rows for part in held.values())
            found += _elsewhere(connection, dataset, rows)
    return compared, found


def _compare(
    dataset: str, lake: Mapping[Entry, pa.Table], database: Mapping[Entry, pa.Table]
) -> Iterator[Difference]:
    for entry in sorted(lake.keys() | database.keys()):
        expected, found = _facts(lake.get(entry)), _facts(database.get(entry))
        if expected != found:
            month = "" if entry.month == NO_MONTH else f"{entry.month:%Y-%m}"
            yield Difference(dataset, entry.subject, month, expected, found)


def _facts(part: pa.Table | None) -> str:
    """Return a month's count, bounds and checksum in words."""
    if part is None:
        return "no rows"
    total = f"checksum {checksum(part)[:12]}"
    if "timestamp" not in part.column_names:
        return f"{part.num_rows} rows {total}"
    first, last = (part["timestamp"][i].as_py() for i in (0, -1))
    return f"{part.num_rows} rows {first:%d %H:%M} to {last:%d %H:%M} {total}"


def _read_back(
    connection: Connection, dataset: Dataset, partition: Partition, subject: str
) -> dict[Entry, pa.Table]:
    """Return what the database holds of the subject of a file, as the lake has it."""
    table = table_of(dataset.model)
    columns = ", ".join(
        f"{one.name}::text" if one.type == "jsonb" else one.name for one in table.columns
    )
    where, order = "", table.key
    bounds: tuple[object, ...] = ()
    if has_time(table):
        where = f"WHERE {table.key[0]} = $1 AND timestamp >= $2 AND timestamp < $3"
        order, bounds = table.key[1:], (subject, *bounds_of(partition))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM {table.path} {where} ORDER BY {', '.join(order)}",  # noqa: S608  (ours)
            bounds,
        )
        rows = in_table(cursor.fetch_arrow_table(), dataset)
    if not has_time(table):
        return {Entry(subject, NO_MONTH): rows} if rows.num_rows else {}
    return {Entry(subject, month): part for month, part in months_of(rows).items()}


def _elsewhere(
    connection: Connection, dataset: Dataset, compared: Mapping[str, int]
) -> Iterator[Difference]:
    """Yield the subjects that have rows outside the files the lake knows."""
    table = table_of(dataset.model)
    subject = table.key[0] if has_time(table) else "'all'"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {subject}, count(*) FROM {table.path} GROUP BY 1")  # noqa: S608
        for name, rows in sorted(cursor.fetchall()):
            extra = rows - compared.get(name, 0)
            if extra:
                yield Difference(dataset.name, name, "elsewhere", "no rows", f"{extra} rows")
