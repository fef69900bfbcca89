"""Read published data: frames in key order, and files that are what the ledger says."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import CorruptFileError
from lake.paths import Lake


def scan(lake: Lake, dataset: str, part: str = "*") -> pl.LazyFrame:
    """Return the published rows of a dataset, lazily; no file means no rows and no columns.

    Raises
    ------
    CorruptFileError
        If a file is not readable Parquet.
    """
    paths = [path for path in lake.files(dataset) if part in {"*", path.parent.name}]
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


def held_parts(lake: Lake, dataset: str) -> list[str]:
    """Return the parts of a dataset that have at least one published file."""
    return sorted({path.parent.name for path in lake.files(dataset)})


def checksum(table: pa.Table) -> str:
    """Return a digest of a table's content: names, types, values and order, not its file's bytes.

    It holds across library versions and compression settings.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in table.column_names:
        column = table[name]
        digest.update(f"{name}:{column.type}:{column.null_count}:{len(column)};".encode())
        if column.null_count:
            digest.update(column.is_null().to_numpy().tobytes())
        if pa.types.is_string(column.type):
            _digest_strings(digest, column)
        else:
            if column.null_count:
                column = column.fill_null(pa.scalar(0).cast(column.type))
            digest.update(column.to_numpy().view("uint8"))
    return digest.hexdigest()


def _digest_strings(digest: "hashlib.blake2b", column: pa.ChunkedArray) -> None:
    """Hash a string column by its distinct values and their codes: constant columns are cheap."""
    encoded = column.dictionary_encode().chunks  # all with the distinct values of the whole column
    for text in encoded[0].dictionary.to_pylist() if encoded else ():
        digest.update(f"{len(text)}:{text}".encode())
    for chunk in encoded:
        digest.update(chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False).tobytes())
