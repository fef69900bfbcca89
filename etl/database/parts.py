"""What there is to load: the files of the lake, each with the part of the database it fills.

The database's ledger has one line per dataset, subject and month: the subject is what the key of
the table begins with, an instrument, an index or an underlying. A file fills the lines of a year,
or of a month and many subjects; the list of instruments is one line without a month.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl
import pyarrow as pa
from pandera.polars import DataFrameModel

from etl import compute, index_prices
from etl.backfill.fold import arrow
from etl.database.exact import exact
from etl.database.months import month_bounds, months_of
from etl.database.tables import tables
from etl.datasets import DATASETS
from etl.errors import LoadError
from etl.instruments import table as universe_table
from lake.ledger import Record, records
from lake.paths import Lake, Partition
from lake.read import checksum, footer, read_table
from validators.derived import FuturesBasis, FuturesCurve
from validators.reference import IndexPrices
from validators.universe import Instruments

INSTRUMENTS = "instruments"
DERIVED: dict[str, type[DataFrameModel]] = {
    compute.BASIS: FuturesBasis,
    compute.CURVE: FuturesCurve,
}
LOADED = (
    "perpetuals_ohlcv", "futures_ohlcv", "funding_rates", index_prices.NAME, "volatility_index",
    "delivery_prices", *DERIVED, INSTRUMENTS,
)  # fmt: skip
NO_MONTH = date(1970, 1, 1)  # of the list of instruments


class Entry(NamedTuple):
    """One line of the database's ledger, within a dataset."""

    subject: str
    month: date


class Key(NamedTuple):
    """A file of the lake: its dataset, what it is of, and the year or month."""

    dataset: str
    name: str
    period: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A file of the lake on its way into the database."""

    key: Key
    rows: int
    source: str  # checksum of its content, or of all it was computed from
    read: Callable[[], dict[Entry, pa.Table]]


def key_of(dataset: str, entry: Entry) -> Key:
    """Return the file a line of the database's ledger is from."""
    if dataset == INSTRUMENTS:
        return Key(dataset, entry.subject, "")
    if dataset == compute.BASIS:
        return Key(dataset, entry.subject.rpartition("-")[0], f"{entry.month:%Y-%m}")
    period = "%Y-%m" if dataset in DERIVED else "%Y"
    return Key(dataset, entry.subject, entry.month.strftime(period))


def bounds_of(key: Key) -> tuple[datetime, datetime]:
    """Return the first moment of a file's year or month, and the first after it."""
    year, _, month = key.period.partition("-")
    first, last = (int(month), int(month)) if month else (1, 12)
    start, _ = month_bounds(date(int(year), first, 1))
    _, end = month_bounds(date(int(year), last, 1))
    return start, end


def schema_of(dataset: str) -> pa.Schema:
    """Return the exact Arrow schema of a dataset: names, order, types, and where null may stand."""
    if dataset == INSTRUMENTS:
        columns = Instruments.to_schema().columns
        chosen = {column.name: columns[column.name] for column in tables()[dataset].columns}
    else:
        chosen = _model(dataset).to_schema().columns
    empty = arrow(pl.DataFrame(schema={name: one.dtype.type for name, one in chosen.items()}))
    return pa.schema([field.with_nullable(chosen[field.name].nullable) for field in empty.schema])


def _model(dataset: str) -> type[DataFrameModel]:
    if dataset == index_prices.NAME:
        return IndexPrices
    return DERIVED.get(dataset) or DATASETS[dataset].model


def batches(lake: Lake, dataset: str) -> Iterator[Batch]:
    """Yield what the lake holds of a dataset, sorted.

    Raises
    ------
    CorruptFileError
        If a ledger or the foot of a file cannot be read.
    """
    if dataset == INSTRUMENTS:
        yield from _instruments(lake)
    elif dataset in DERIVED:
        yield from (_derived(path) for path in lake.derived_files(dataset))
    else:
        for partition, record in records(lake, dataset):
            key = Key(dataset, partition.instrument, str(partition.year))
            read = partial(_clean_parts, lake, partition, record)
            yield Batch(key, record.rows, record.checksum or "", read)


def _clean_parts(lake: Lake, partition: Partition, record: Record) -> dict[Entry, pa.Table]:
    """Return a partition's published rows by month.

    Raises
    ------
    LoadError
        If the file is not the one its ledger describes.
    CorruptFileError
        If it cannot be read.
    """
    path = lake.clean(partition)
    if not record.rows:
        return {}
    if not path.exists():
        message = f"{path} is gone: run `deribit-lake replay`"
        raise LoadError(message)
    table = exact(read_table(path), schema_of(partition.dataset))
    if checksum(table) != record.checksum:
        message = f"{path} is not what its ledger says: it changed meanwhile, so run this again"
        raise LoadError(message)
    months = months_of(table).items()
    return {Entry(partition.instrument, month): part for month, part in months}


def _derived(path: Path) -> Batch:
    dataset, name, period = path.parts[-3], path.parts[-2], path.stem
    foot = footer(path)
    source = (foot.metadata or {}).get(compute.INPUTS, b"").decode()
    key = Key(dataset, name, period)
    return Batch(key, foot.num_rows, source, partial(_derived_parts, path, dataset, period))


def _derived_parts(path: Path, dataset: str, period: str) -> dict[Entry, pa.Table]:
    """Return a month's rows by subject, each sorted by the key of its table."""
    schema, (subject, *rest) = schema_of(dataset), tables()[dataset].key
    rows = pl.DataFrame(read_table(path)).partition_by(subject, as_dict=True)
    month = date.fromisoformat(f"{period}-01")
    return {
        Entry(str(name), month): exact(arrow(part.sort(rest)), schema)
        for (name,), part in sorted(rows.items())
    }


def _instruments(lake: Lake) -> Iterator[Batch]:
    path = universe_table.path_of(lake)
    if path.exists():
        foot = footer(path)
        source = hashlib.blake2b(foot.metadata[universe_table.FOLDED], digest_size=16).hexdigest()
        key, entry = Key(INSTRUMENTS, "all", ""), Entry("all", NO_MONTH)
        yield Batch(key, foot.num_rows, source, lambda: {entry: _read_instruments(path)})


def _read_instruments(path: Path) -> pa.Table:
    schema = schema_of(INSTRUMENTS)
    frame = pl.DataFrame(read_table(path)).select(schema.names)
    return exact(arrow(canonical(frame).sort("instrument_id", "valid_from")), schema)


def canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with each `record` written in one way: the database keeps what JSON says."""
    texts = [
        msgspec.json.encode(msgspec.json.decode(text), order="deterministic").decode()
        for text in frame["record"]
    ]
    return frame.with_columns(pl.Series("record", texts, pl.String))
