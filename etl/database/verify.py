"""Hold the database against the lake: counts, bounds and content, by instrument and month."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.backfill.fold import arrow
from etl.config import Settings
from etl.database.connection import connect, database_errors
from etl.database.exact import exact
from etl.database.months import months_of
from etl.database.parts import (
    INSTRUMENTS,
    LOADED,
    NO_MONTH,
    Entry,
    Key,
    batches,
    bounds_of,
    canonical,
    schema_of,
)
from etl.database.schema import check_schema
from etl.database.tables import tables
from lake.paths import open_lake
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
    settings: Settings, datasets: Sequence[str] = LOADED
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
    lake = open_lake(settings.root)
    compared = 0
    found: list[Difference] = []
    with database_errors(), connect(settings) as connection:
        check_schema(connection)
        for name in datasets:
            rows: Counter[str] = Counter()
            for batch in batches(lake, name):
                held = batch.read()
                for subject in sorted({entry.subject for entry in held} or {batch.key.name}):
                    there = _read_back(connection, batch.key, subject)
                    ours = {entry: part for entry, part in held.items() if entry.subject == subject}
                    found += _compare(name, ours, there)
                    rows[subject] += sum(part.num_rows for part in there.values())
                compared += sum(part.num_rows for part in held.values())
            found += _elsewhere(connection, name, rows)
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


def _read_back(connection: Connection, key: Key, subject: str) -> dict[Entry, pa.Table]:
    """Return what the database holds of the subject of a file, as the lake has it."""
    schema, table = schema_of(key.dataset), tables()[key.dataset]
    bounds: tuple[object, ...] = ()
    if key.dataset == INSTRUMENTS:
        columns = ", ".join(name if name != "record" else "record::text" for name in schema.names)
        order, where = table.key, ""
    else:
        columns, order = ", ".join(schema.names), table.key[1:]
        where = f"WHERE {table.key[0]} = $1 AND timestamp >= $2 AND timestamp < $3"
        bounds = (subject, *bounds_of(key))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM {table.path} {where} ORDER BY {', '.join(order)}",  # noqa: S608  (ours)
            bounds,
        )
        rows = cursor.fetch_arrow_table().replace_schema_metadata()
    if key.dataset == INSTRUMENTS:
        rows = arrow(canonical(pl.DataFrame(rows)))
        return {Entry(subject, NO_MONTH): exact(rows, schema)} if rows.num_rows else {}
    months = months_of(exact(rows, schema))
    return {Entry(subject, month): part for month, part in months.items()}


def _elsewhere(
    connection: Connection, dataset: str, compared: Mapping[str, int]
) -> Iterator[Difference]:
    """Yield the subjects that have rows outside the files the lake knows."""
    table = tables()[dataset]
    subject = "'all'" if dataset == INSTRUMENTS else table.key[0]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {subject}, count(*) FROM {table.path} GROUP BY 1")  # noqa: S608
        for name, rows in sorted(cursor.fetchall()):
            extra = rows - compared.get(name, 0)
            if extra:
                yield Difference(dataset, name, "elsewhere", "no rows", f"{extra} rows")
