"""Read published data: frames in key order, and files that are what the ledger says."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import CorruptFileError
from lake.paths import Lake, Partition


def scan(lake: Lake, dataset: str, instrument: str = "*") -> pl.LazyFrame:
    """Return the published rows of a dataset, lazily; no file means no rows and no columns.

    Raises
    ------
    CorruptFileError
        If a file is not readable Parquet.
    """
    paths = sorted(lake.clean_folder(dataset).glob(f"{instrument}/*.parquet"))
    for path in paths:
        check_footer(path)
    if not paths:
        return pl.LazyFrame()
    return pl.scan_parquet(paths, hive_partitioning=False)


def check_footer(path: Path) -> int:
    """Return the number of rows of a Parquet file by its footer.

    Raises
    ------
    CorruptFileError
        If it has none that can be read.
    """
    return int(footer(path).num_rows)


def footer(path: Path) -> pq.FileMetaData:
    """Return the footer of a Parquet file.

    Raises
    ------
    CorruptFileError
        If it has none that can be read.
    """
    try:
        return pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a Parquet file, or some of its columns, every page read and checked.

    Raises
    ------
    CorruptFileError
        If any of it cannot be read.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=None if columns is None else list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def held_instruments(lake: Lake, dataset: str) -> list[str]:
    """Return the instruments that have at least one published file in a dataset."""
    return sorted({path.parent.name for path in lake.clean_folder(dataset).glob("*/*.parquet")})


def checksum(table: pa.Table) -> str:
    """Return a digest of a table's content: names, types, values and order, not its file's bytes.

    It holds across library versions and compression settings.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in table.column_names:
        column = table[name].combine_chunks()
        digest.update(f"{name}:{column.type}:{column.null_count}:{len(column)};".encode())
        if column.null_count:
            digest.update(column.is_null().to_numpy(zero_copy_only=False).tobytes())
        if pa.types.is_string(column.type):
            _digest_strings(digest, column)
        else:
            zero = pa.scalar(0).cast(column.type)
            digest.update(column.fill_null(zero).to_numpy(zero_copy_only=False).tobytes())
    return digest.hexdigest()


def _digest_strings(digest: "hashlib.blake2b", column: pa.Array) -> None:
    """Hash a string column by its distinct values and their codes: constant columns are cheap."""
    encoded = column.dictionary_encode()
    for text in encoded.dictionary.to_pylist():
        digest.update(f"{len(text)}:{text}".encode())
    digest.update(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).tobytes())


def partition_checksum(lake: Lake, partition: Partition) -> str | None:
    """Return the content checksum of a partition's published file, None where there is none."""
    path = lake.clean(partition)
    return checksum(read_table(path)) if path.exists() else None
