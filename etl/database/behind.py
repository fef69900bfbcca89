"""Live rows: what micro-batches put into a table behind the last row the lake has of a part.

The database's ledger has a line of its own kind for each month they were written in: it says of
nothing what was loaded, only that the month is not what was. Such rows stay beside those of the
lake until the lake has later ones of the same part, and their hours and days are made of both.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_postgresql.dbapi import Connection

from etl.database.months import month_bounds
from etl.database.parts import (
    Batch,
    Entry,
    bars,
    models_of,
    newest_periods,
    partition_of,
    schema_of,
)
from etl.database.read import read_rows
from etl.database.tables import table_of
from etl.dataset import Dataset

LATEST = datetime.max.replace(tzinfo=UTC)
EARLIEST = datetime.min.replace(tzinfo=UTC)


def start_behind(batch: Batch, parts: Mapping[Entry, pa.Table]) -> datetime:
    """Return the first moment that is behind all rows the lake has of a file's part.

    Parameters
    ----------
    parts
        All rows of the file, by subject and month; of other tables than its own, what there is.
    """
    if not batch.is_newest:
        return LATEST
    own = [rows for entry, rows in parts.items() if entry.table == batch.dataset.name]
    last = [pc.max(rows["timestamp"]).as_py() for rows in own if rows.num_rows]
    return max(last) + timedelta(microseconds=1) if last else EARLIEST


def unknown(dataset: Dataset, known: Sequence[Batch], marked: Iterable[Entry]) -> list[Batch]:
    """Return what the lake has no file of yet, but the database has live rows: files of no rows."""
    newest = newest_periods((one.partition, one.rows) for one in known)
    found = {partition_of(dataset, one) for one in marked} - {one.partition for one in known}
    return [
        Batch(dataset, one, 0, "", dict, is_newest=one.period >= newest.get(one.part, ""))
        for one in sorted(found)
    ]


def rows_behind(
    connection: Connection, dataset: Dataset, month: Entry, start: datetime
) -> pa.Table:
    """Return what a dataset's own table holds in a month from a moment on."""
    first, after = month_bounds(month.month)
    if start >= after:
        return schema_of(dataset.model).empty_table()
    return read_rows(connection, dataset.model, month.subject, (max(first, start), after))


def behind(rows: pa.Table, start: datetime) -> pa.Table:
    """Return the rows from a moment on."""
    return rows.filter(pc.field("timestamp") >= start) if start < LATEST else rows.slice(0, 0)


def joined(
    dataset: Dataset, month: Entry, rows: pa.Table | None, live: pa.Table
) -> dict[Entry, pa.Table]:
    """Return a month of the lake with the live rows behind it, and the bars of both.

    Tables that are to have nothing of that month have an empty part.
    """
    key = [(name, "ascending") for name in table_of(dataset.model).key]
    both = live if rows is None else pa.concat_tables([rows, live]).sort_by(key)
    empty = {
        month._replace(table=name): schema_of(model).empty_table()
        for name, model in models_of(dataset).items()
    }
    return empty | {month: both} | (bars(dataset, {month: both}) if both.num_rows else {})
