"""Hold the database against the lake: counts, bounds and content, by instrument and month."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from adbc_driver_postgresql.dbapi import Connection

from etl.config import Settings
from etl.database.ahead import ahead
from etl.database.behind import behind, joined, start_behind, unknown
from etl.database.connection import connect, database_errors, execute_script, fetch
from etl.database.ledger import live_months
from etl.database.months import months_of
from etl.database.parts import (
    NO_MONTH,
    Batch,
    Entry,
    bars,
    batches,
    bounds_of,
    has_time,
    loadable,
    models_of,
    partition_of,
)
from etl.database.read import read_rows
from etl.database.schema import check_schema
from etl.database.tables import Table, bars_of, table_of
from etl.dataset import Dataset
from lake.paths import LEDGER, TOPS, Lake
from lake.read import checksum

# What is written meanwhile is in no table or in all.
_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclass(frozen=True, slots=True)
class Difference:
    """One month, or one instrument, in which a table is not what the lake is."""

    dataset: str
    instrument: str
    month: str
    lake: str
    database: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows of the lake that were compared, every difference, and live rows by dataset."""

    rows: int
    differences: list[Difference]
    live: dict[str, int]


def verify_database(
    settings: Settings, lake: Lake, datasets: Sequence[Dataset] | None = None
) -> tuple[int, list[Difference]]:
    """Return the number of rows compared, and every difference, as `compare`."""
    found = compare(settings, lake, datasets)
    return found.rows, found.differences


def compare(
    settings: Settings, lake: Lake, datasets: Sequence[Dataset] | None = None
) -> Comparison:
    """Return what holding the database against the lake found.

    Both sides pass through one Arrow function: the database is read back, not asked for a digest.
    Live rows, in months of which the database's ledger says so and behind the last row the lake
    has of their part, are no difference, and counted; hours and days are to be those of both.

    Raises
    ------
    DatabaseError
        If the database cannot be read or is not what the schema says.
    LoadError, CorruptFileError
        If a file of the lake is not what its ledger says.
    """
    with database_errors(), connect(settings) as connection:
        check_schema(connection)
        connection.commit()
        execute_script(connection, _ONE_MOMENT)
        marked = live_months(connection)
        chosen = loadable() if datasets is None else datasets
        lake = lake.listed(*TOPS, LEDGER)
        found = [_compare_one(connection, lake, dataset, marked) for dataset in chosen]
    live = {dataset.name: count for dataset, (*_, count) in zip(chosen, found, strict=True)}
    return Comparison(
        sum(rows for rows, *_ in found),
        [each for _, differences, _ in found for each in differences],
        {name: count for name, count in live.items() if count},
    )


def _compare_one(
    connection: Connection, lake: Lake, dataset: Dataset, marked: Iterable[Entry]
) -> tuple[int, list[Difference], int]:
    """Return the rows of a dataset that were compared, what differs, and how many are live."""
    found, rows, live = list[Difference](), Counter[tuple[str, str]](), 0
    own = [month for month in marked if month.table == dataset.name]
    chosen = list(batches(lake, dataset))
    chosen += unknown(dataset, chosen, own)
    for batch, held in zip(chosen, ahead([*map(_reading, chosen)]), strict=True):
        months = [month for month in own if partition_of(dataset, month) == batch.partition]
        subjects = {entry.subject for entry in [*held, *months]} or {batch.partition.part}
        there = _read_back(connection, batch, sorted(subjects))
        expected = _with_live(batch, held, there, months)
        live += _own_rows(dataset, expected) - _own_rows(dataset, held)
        found += _compare(expected, there)
        rows.update(_rows_by_series(there))
    for model in models_of(dataset).values():
        found += _elsewhere(connection, table_of(model), rows)
    for model in bars_of(dataset.model):
        found += _shown(connection, table_of(model))
    return sum(batch.rows for batch in chosen), found, live


def _with_live(
    batch: Batch,
    held: Mapping[Entry, pa.Table],
    there: Mapping[Entry, pa.Table],
    months: Iterable[Entry],
) -> dict[Entry, pa.Table]:
    """Return what the database is to hold: the rows of the lake, and live ones it may have."""
    expected = dict(held)
    for month in months:
        start = start_behind(batch, held)
        live = behind(there[month], start) if month in there else None
        if live is not None and live.num_rows:
            parts = joined(batch.dataset, month, held.get(month), live)
            expected |= {entry: rows for entry, rows in parts.items() if rows.num_rows}
    return expected


def _own_rows(dataset: Dataset, parts: Mapping[Entry, pa.Table]) -> int:
    return sum(rows.num_rows for entry, rows in parts.items() if entry.table == dataset.name)


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
            rows = read_rows(connection, model, subject, bounds_of(batch.partition))
            if has_time(table_of(model)):
                months = months_of(rows).items()
                found |= {Entry(name, subject, month): part for month, part in months}
            elif rows.num_rows:
                found[Entry(name, subject, NO_MONTH)] = rows
    return found


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
