"""What there is to load: the files of the lake, each with the part of the database it fills.

The database's ledger has one line per dataset, subject and month: the subject is what the key of
the table begins with, an instrument, an index or an underlying; of options, which have few rows
each, the currency they settle in. A file fills the lines of its period, of one subject or of many;
a table without time has one line, without a month.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import msgspec
import polars as pl
import pyarrow as pa
from pandera.polars import DataFrameModel

from etl.catalog import DATASETS
from etl.database.exact import exact
from etl.database.months import months_of
from etl.database.tables import Table, bars_of, stated, table_of
from etl.dataset import Dataset, part_of
from etl.errors import ExactError, LoadError, UsageError
from lake.arrow import arrow
from lake.ledger import Record, read_record, records
from lake.partition import Partition
from lake.paths import Lake, Top
from lake.read import checksum, read_table
from lake.span import FOREVER, is_period, period_of
from lake.store.place import Place
from validators.table import facts_of

NO_MONTH = date(1970, 1, 1)  # of a table without time


class Entry(NamedTuple):
    """One line of the database's ledger: of a dataset's table, or of candles resampled from it."""

    table: str
    subject: str
    month: date


@dataclass(frozen=True, slots=True)
class Batch:
    """A file of the lake on its way into the database; `source` is the checksum of its content.

    None of the same part that `is_newest` has rows of a later period. Its file lies in `top`.
    """

    dataset: Dataset
    partition: Partition
    rows: int
    source: str
    read: Callable[[], dict[Entry, pa.Table]]
    is_newest: bool
    top: Top = "clean"


def loadable() -> list[Dataset]:
    """Return the datasets that have a table."""
    return list(filter(has_table, DATASETS.values()))


def has_table(dataset: Dataset) -> bool:
    """Whether a dataset has a table: other resolutions than one minute are never loaded."""
    return facts_of(dataset.model) is not None


def check_has_table(dataset: Dataset) -> None:
    """Refuse what could not be loaded.

    Raises
    ------
    UsageError
        If the dataset has no table.
    """
    if not has_table(dataset):
        known = ", ".join(one.name for one in loadable())
        message = f"no table for dataset {dataset.name!r}; choose from: {known}"
        raise UsageError(message)


def has_time(table: Table) -> bool:
    """Whether a table is cut by month."""
    return "timestamp" in table.key


def partition_of(dataset: Dataset, entry: Entry) -> Partition:
    """Return the partition a line of the database's ledger is from."""
    if not has_time(table_of(dataset.model)):
        return Partition(dataset.name, entry.subject, "all")
    start = datetime(entry.month.year, entry.month.month, 1, tzinfo=UTC)
    period = period_of(round(start.timestamp() * 1000), dataset.period)
    part = entry.subject if _is_kept_by_part(dataset) else part_of(dataset, entry.subject)
    return Partition(dataset.name, part, period)


def bounds_of(partition: Partition) -> tuple[datetime, datetime]:
    """Return the first moment of a partition's period, and the first after it."""
    span = partition.span
    if span == FOREVER:
        return datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (span.start_ms, span.end_ms))
    return start, end


def models_of(dataset: Dataset) -> dict[str, type[DataFrameModel]]:
    """Return the tables the rows of a dataset fill: its own, and those resampled from it."""
    return {table_of(model).name: model for model in [dataset.model, *bars_of(dataset.model)]}


def schema_of(model: type[DataFrameModel]) -> pa.Schema:
    """Return the exact Arrow schema of a table: names, order, types, and where null may stand."""
    columns = model.to_schema().columns
    names = [column.name for column in table_of(model).columns]
    empty = arrow(pl.DataFrame(schema={name: columns[name].dtype.type for name in names}))
    return pa.schema([field.with_nullable(columns[field.name].nullable) for field in empty.schema])


def batches(lake: Lake, dataset: Dataset) -> Iterator[Batch]:
    """Yield what the lake holds of a dataset, sorted.

    Raises
    ------
    CorruptFileError
        If a ledger cannot be read.
    """
    there = list(records(lake, dataset.name))
    newest = newest_periods((partition, record.rows) for partition, record in there)
    for partition, record in there:
        if record.checksum or record.wanted:
            read = partial(_parts, lake, dataset, partition, record)
            is_newest = partition.period >= newest.get(partition.part, "")
            source = record.checksum or ""
            yield Batch(dataset, partition, record.rows, source, read, is_newest, record.top)


def newest_periods(counts: Iterable[tuple[Partition, int]]) -> dict[str, str]:
    """Return the last period of each part of which the lake has rows."""
    return {one.part: one.period for one, rows in sorted(counts) if rows}


def strays(lake: Lake, dataset: Dataset, known: Iterable[Batch]) -> list[str]:
    """Say which published files no line of the ledger vouches for: they are not loaded.

    Lines of what is `known` were read, and are not read again.
    """
    vouched = {lake.published(one.top, one.partition) for one in known}
    return [
        f"{path} has no line in the ledger and is not loaded: run `deribit-lake replay`"
        for path in lake.files(dataset.name)
        if path not in vouched and not _is_vouched_for(lake, dataset.name, path)
    ]


def _is_vouched_for(lake: Lake, dataset: str, path: Place) -> bool:
    """Whether the ledger vouches for a published file by now."""
    if not is_period(path.stem):
        return False
    partition = Partition(dataset, path.parent.name, path.stem)
    record = read_record(lake, partition)
    return record is not None and lake.published(record.top, partition) == path


def _parts(
    lake: Lake, dataset: Dataset, partition: Partition, record: Record
) -> dict[Entry, pa.Table]:
    """Return a partition's published rows by subject and month, each sorted by the table's key.

    Raises
    ------
    LoadError
        If the file is not the one its ledger describes.
    CorruptFileError
        If it cannot be read.
    """
    path = lake.published(record.top, partition)
    if not record.rows:
        return {}
    if not path.exists():
        message = f"{path} is gone: run `deribit-lake replay`"
        raise LoadError(message)
    whole = read_table(path)
    if checksum(whole) != record.checksum:
        message = f"{path} is not what its ledger says: run this again, and if it says so again, "
        raise LoadError(message + "`deribit-lake verify`")
    try:
        rows = in_table(whole, dataset.model)
    except ExactError as error:
        message = f"{path}: {error}"
        raise LoadError(message) from error
    own = table_of(dataset.model).name
    if not has_time(table_of(dataset.model)):
        return {Entry(own, partition.part, NO_MONTH): rows}
    return {
        Entry(own, subject, month): part
        for subject, some in _by_subject(rows, dataset, partition)
        for month, part in months_of(some).items()
    }


def bars(dataset: Dataset, months: Mapping[Entry, pa.Table]) -> dict[Entry, pa.Table]:
    """Return what is resampled from whole months of a dataset's rows; nothing, mostly."""
    found: dict[Entry, pa.Table] = {}
    source, chosen = table_of(dataset.model).name, bars_of(dataset.model)
    if not (chosen and months):
        return found
    from lake.resample import resampled  # noqa: PLC0415  DuckDB takes a quarter of a second

    for subject, entries in groupby(sorted(months), key=attrgetter("subject")):
        rows = pa.concat_tables(months[entry] for entry in entries)
        for model in chosen:
            name = table_of(model).name
            made = in_table(resampled(rows, name, source), model)
            found |= {Entry(name, subject, month): one for month, one in months_of(made).items()}
    return found


def in_table(
    rows: pa.Table, model: type[DataFrameModel], *, may_hold_nan: bool = False
) -> pa.Table:
    """Return rows as their table has them: its columns, exactly, JSON written in one way.

    Raises
    ------
    ExactError
        If a column cannot be cast exactly.
    """
    table, schema = table_of(model), schema_of(model)
    chosen = _by_name(rows, schema).replace_schema_metadata()
    for column in table.columns:
        if column.type == "jsonb" and column.name in chosen.column_names:
            number = chosen.schema.get_field_index(column.name)
            chosen = chosen.set_column(number, column.name, _canonical(chosen[column.name]))
    exactly = exact(chosen, schema, may_hold_nan=may_hold_nan)
    return (
        exactly if has_time(table) else exactly.sort_by([(one, "ascending") for one in table.key])
    )


def _by_name(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of a table that are there, and nulls for one added later that may be."""
    for field in schema:
        if field.nullable and field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select([name for name in schema.names if name in rows.column_names])


def _canonical(texts: pa.ChunkedArray) -> pa.Array:
    """Return JSON texts each written in one way: the database keeps what JSON says."""
    written = [
        msgspec.json.encode(msgspec.json.decode(text), order="deterministic").decode()
        for text in texts.to_pylist()
    ]
    return pa.array(written, pa.string())


def _is_kept_by_part(dataset: Dataset) -> bool:
    """Whether the database's books have a line for each part, of however many instruments."""
    return dataset.subject_part is None or stated(dataset.model).subject is not None


def _by_subject(
    rows: pa.Table, dataset: Dataset, partition: Partition
) -> Iterator[tuple[str, pa.Table]]:
    subject, *rest = table_of(dataset.model).key
    if _is_kept_by_part(dataset):
        yield partition.part, rows
        return
    for (name,), some in sorted(pl.DataFrame(rows).partition_by(subject, as_dict=True).items()):
        yield str(name), exact(arrow(some.sort(rest)), rows.schema)
