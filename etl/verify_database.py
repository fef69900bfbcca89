"""Hold the database against the lake: counts, bounds and content, by instrument and month."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.config import Settings
from etl.connection import connect, database_errors
from etl.database import check_schema
from etl.exact import exact
from etl.load import LOADED
from etl.months import clean_table, months_of
from etl.plan import year_span
from lake.ledger import records
from lake.paths import Partition, open_lake
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
            rows: dict[str, int] = {}
            for partition, record in records(lake, name):
                held = clean_table(lake, partition, record)
                there = _read_back(connection, partition, held.schema)
                rows[partition.instrument] = rows.get(partition.instrument, 0) + there.num_rows
                compared += held.num_rows
                found += _compare(partition, held, there)
            found += _elsewhere(connection, name, rows)
    return compared, found


def _compare(partition: Partition, lake: pa.Table, database: pa.Table) -> Iterator[Difference]:
    ours, theirs = months_of(lake), months_of(database)
    for month in sorted(ours.keys() | theirs.keys()):
        expected, found = _facts(ours.get(month)), _facts(theirs.get(month))
        if expected != found:
            subject = (partition.dataset, partition.instrument, f"{month:%Y-%m}")
            yield Difference(*subject, expected, found)


def _facts(part: pa.Table | None) -> str:
    """Return a month's count, bounds and checksum in words."""
    if part is None:
        return "no rows"
    first, last = (part["timestamp"][i].as_py() for i in (0, -1))
    total = checksum(part)
    return f"{part.num_rows} rows {first:%d %H:%M} to {last:%d %H:%M} checksum {total[:12]}"


def _read_back(connection: Connection, partition: Partition, schema: pa.Schema) -> pa.Table:
    year = year_span(partition.year)
    start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (year.start_ms, year.end_ms))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(schema.names)} FROM public.{partition.dataset} "  # noqa: S608  (ours)
            "WHERE instrument = $1 AND timestamp >= $2 AND timestamp < $3 ORDER BY timestamp",
            (partition.instrument, start, end),
        )
        return exact(cursor.fetch_arrow_table().replace_schema_metadata(), schema)


def _elsewhere(
    connection: Connection, dataset: str, compared: dict[str, int]
) -> Iterator[Difference]:
    """Yield the instruments that have rows outside the partitions the lake knows."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT instrument, count(*) FROM public.{dataset} GROUP BY instrument"  # noqa: S608
        )
        for instrument, rows in sorted(cursor.fetchall()):
            extra = rows - compared.get(instrument, 0)
            if extra:
                yield Difference(dataset, instrument, "other years", "no rows", f"{extra} rows")
