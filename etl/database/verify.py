"""Hold the database against the lake: counts, bounds and content, by instrument and month."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.config import Settings
from etl.database.ahead import ahead
from etl.database.connection import connect, database_errors, fetch
from etl.database.months import months_of
from etl.database.parts import (
    NO_MONTH,
    Batch,
    Entry,
    bars,
    batches,
    bounds_of,
    has_time,
    in_table,
    loadable,
    models_of,
)
from etl.database.revise import SCOPE
from etl.database.schema import check_schema
from etl.database.tables import Table, bars_of, table_of
from etl.dataset import Dataset
from lake.partition import Partition
from lake.paths import Lake
from lake.read import checksum


@dataclass(frozen=True, slots=True)
class Difference:
    """One month, or one instrument, in which a table is not what the lake is."""

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
            rows: Counter[tuple[str, str]] = Counter()
            chosen = list(batches(lake, dataset))
            for batch, held in zip(chosen, ahead([*map(_reading, chosen)]), strict=True):
                subjects = {entry.subject for entry in held} or {batch.partition.part}
                there = _read_back(connection, batch, sorted(subjects))
                found += _compare(held, there)
                rows.update(_rows_by_series(there))
                compared += batch.rows
            for model in models_of(dataset).values():
                found += _elsewhere(connection, table_of(model), rows)
            for model in bars_of(dataset.model):
                found += _shown(connection, table_of(model))
    return compared, found


def _reading(batch: Batch) -> Callable[[], dict[Entry, pa.Table]]:
    """Return what reads a file of the lake, and makes the bars of it."""

    def read() -> dict[Entry, pa.Table]:
        months = batch.read()
        return months | bars(batch.dataset, months)

    return read


def _compare(
    lake: Mapping[Entry, pa.Table], database: Mapping[Entry, pa.Table]
) -> Iterator[Difference]:
    for entry in sorted(lake.keys() | database.keys()):
        expected, found = _facts(lake.get(entry)), _facts(database.get(entry))
        if expected != found:
            month = "" if entry.month == NO_MONTH else f"{entry.month:%Y-%m}"
            yield Difference(entry.table, entry.subject, month, expected, found)


def _rows_by_series(parts: Mapping[Entry, pa.Table]) -> Counter[tuple[str, str]]:
    """Return how many rows there are of each table and subject."""
    found: Counter[tuple[str, str]] = Counter()
    for entry, part in parts.items():
        found[entry.table, entry.subject] += part.num_rows
    return found


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
    connection: Connection, batch: Batch, subjects: Sequence[str]
) -> dict[Entry, pa.Table]:
    """Return what the database holds of the subjects of a file, as the lake has it."""
    found: dict[Entry, pa.Table] = {}
    for name, model in models_of(batch.dataset).items():
        for subject in subjects:
            rows = _query(connection, table_of(model), batch.partition, subject)
            rows = in_table(rows, model, may_hold_nan=True)  # a difference, like any other
            if has_time(table_of(model)):
                months = months_of(rows).items()
                found |= {Entry(name, subject, month): part for month, part in months}
            elif rows.num_rows:
                found[Entry(name, subject, NO_MONTH)] = rows
    return found


def _query(connection: Connection, table: Table, partition: Partition, subject: str) -> pa.Table:
    """Return the rows of a subject in a file's period, in the order of the key."""
    columns = ", ".join(
        f"{one.name}::text" if one.type == "jsonb" else one.name for one in table.columns
    )
    where, order = "", table.key
    bounds: tuple[object, ...] = ()
    if has_time(table):
        where = f"WHERE {SCOPE.format(subject=table.subject)}"
        order, bounds = table.key_within, (subject, *bounds_of(partition))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM {table.path} AS held {where} ORDER BY {', '.join(order)}",  # noqa: S608  (ours)
            bounds,
        )
        return cursor.fetch_arrow_table()


def _elsewhere(
    connection: Connection, table: Table, compared: Mapping[tuple[str, str], int]
) -> Iterator[Difference]:
    """Yield the subjects that have rows outside the files the lake knows."""
    subject = table.subject if has_time(table) else "'all'"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {subject}, count(*) FROM {table.path} AS held GROUP BY 1")  # noqa: S608
        for name, rows in sorted(cursor.fetchall()):
            extra = rows - compared.get((table.name, name), 0)
            if extra:
                yield Difference(table.name, name, "elsewhere", "no rows", f"{extra} rows")


def _shown(connection: Connection, table: Table) -> Iterator[Difference]:
    """Yield what a view of public shows otherwise than its table has it."""
    view = f"public.{table.name}"
    if fetch(connection, f"SELECT to_regclass('{view}')::text") == [(None,)]:
        yield Difference(table.name, view, "all", f"as {table.path}", "no view")
        return
    columns = ", ".join(column.name for column in table.columns)
    held, seen = (f"SELECT {columns} FROM {path}" for path in (table.path, view))  # noqa: S608
    ((missing,),), ((other,),) = (
        fetch(connection, f"SELECT count(*) FROM ({one} EXCEPT ALL {two}) AS rows")  # noqa: S608
        for one, two in ((held, seen), (seen, held))
    )
    if missing or other:
        yield Difference(
            table.name,
            view,
            "all",
            f"as {table.path}",
            f"{missing} rows not shown, {other} others shown",
        )
