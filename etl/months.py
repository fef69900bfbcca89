"""The rows of a partition by calendar month, exactly as the database is to hold them."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from etl import index_prices
from etl.datasets import DATASETS
from etl.errors import LoadError
from etl.exact import exact
from etl.fold import arrow
from lake.ledger import Record, Span
from lake.paths import Lake, Partition
from lake.read import checksum, read_table


def schema_of(dataset: str) -> pa.Schema:
    """Return the exact Arrow schema of a dataset: the one of the lake and of its table."""
    if dataset == index_prices.NAME:
        return arrow(index_prices.EMPTY).schema
    found = DATASETS[dataset]
    empty = found.transform(found.empty_page().lazy(), "").collect()
    return arrow(empty.select(found.columns)).schema


def clean_table(lake: Lake, partition: Partition, record: Record) -> pa.Table:
    """Return a partition's published rows.

    Raises
    ------
    LoadError
        If the file is not the one its ledger describes.
    CorruptFileError
        If it cannot be read.
    """
    path = lake.clean(partition)
    schema = schema_of(partition.dataset)
    if not record.rows:
        return schema.empty_table()
    if not path.exists():
        message = f"{path} is gone: run `deribit-lake replay`"
        raise LoadError(message)
    table = exact(read_table(path), schema)
    if checksum(table) != record.checksum:
        message = f"{path} is not what its ledger says: it changed meanwhile, so run this again"
        raise LoadError(message)
    return table


def months_of(table: pa.Table) -> dict[date, pa.Table]:
    """Return the rows by the first day of their month; the table is sorted by time, in UTC."""
    months = table["timestamp"].to_numpy().astype("datetime64[M]")
    if not months.size:
        return {}
    starts = np.flatnonzero(np.concatenate([[True], months[1:] != months[:-1]]))
    ends = [*starts[1:], len(months)]
    return {
        months[start].astype(date): table.slice(start, end - start)
        for start, end in zip(starts, ends, strict=True)
    }


def month_bounds(month: date) -> tuple[datetime, datetime]:
    """Return the first moment of a month and of the next, in UTC."""
    after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    start, end = (datetime(day.year, day.month, 1, tzinfo=UTC) for day in (month, after))
    return start, end


def is_touched(month: date, span: Span | None) -> bool:
    """Whether a span of Unix milliseconds reaches into a month; no span reaches everywhere."""
    if span is None:
        return True
    start, end = (round(moment.timestamp() * 1000) for moment in month_bounds(month))
    return start < span.end_ms and span.start_ms < end
