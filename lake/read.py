"""Read published data: frames in key order, and files that are what the ledger says."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import CorruptFileError, MissingColumnError
from lake.paths import Lake
from lake.store.parquet import open_parquet, read_footer
from lake.store.place import Place
from lake.store.scan import scan_parquet
from lake.store.together import each

TEXTS_AT_ONCE = 65_536
BATCH_ROWS = 16_384


def scan(lake: Lake, dataset: str, part: str = "*") -> pl.LazyFrame:
    """Return the published rows of a dataset, lazily; no file means no rows and no columns.

    Columns are taken by name: null where a file lacks one that another has.

    Raises
    ------
    CorruptFileError
        If a file is not readable Parquet.
    """
    paths = [path for path in lake.files(dataset) if part in {"*", path.parent.name}]
    frames = [scan_files(alike) for alike in by_schema(paths)]
    if not frames:
        return pl.LazyFrame()
    return pl.concat(frames, how="diagonal_relaxed") if len(frames) > 1 else frames[0]


def scan_files(paths: Sequence[Place]) -> pl.LazyFrame:
    """Return the rows of Parquet files of one schema, lazily; a path is a path, and no pattern."""
    return scan_parquet(paths)


def by_schema(paths: Iterable[Place]) -> list[list[Place]]:
    """Return Parquet files that were just listed in groups of the same columns.

    Almost always it is one.

    Raises
    ------
    CorruptFileError
        If a file has no footer that can be read.
    """
    groups: list[tuple[pq.ParquetSchema, list[Place]]] = []
    listed = list(paths)
    for path, found in zip(listed, footers(listed), strict=True):
        schema = found.schema
        for known, group in groups:
            if known.equals(schema):
                group.append(path)
                break
        else:
            groups.append((schema, [path]))
    return [group for _, group in groups]


def check_footer(path: Place) -> int:
    """Return the number of rows of a Parquet file by its footer.

    Raises
    ------
    CorruptFileError
        If it has none that can be read.
    """
    return int(footer(path).num_rows)


def footers(paths: Sequence[Place]) -> Iterator[pq.FileMetaData]:
    """Yield the footers of Parquet files that were just listed.

    Raises
    ------
    CorruptFileError
        If one has none that can be read.
    """
    return each(paths[0], partial(footer, is_listed=True), paths) if paths else iter(())


def footer(path: Place, *, is_listed: bool = False) -> pq.FileMetaData:
    """Return the footer of a Parquet file.

    Of one that `is_listed`, a moment ago, that which was read before, where it is the same object.

    Raises
    ------
    CorruptFileError
        If it has none that can be read.
    """
    try:
        return read_footer(path, is_listed=is_listed)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def read_table(
    path: Place, columns: Sequence[str] | None = None, *, coded: Sequence[str] = ()
) -> pa.Table:
    """Return a Parquet file, or some of its columns, every page read and checked.

    Strings that are `coded` come as one dictionary, and codes.

    Raises
    ------
    CorruptFileError
        If any of it cannot be read.
    MissingColumnError
        If it has no column of that name.
    """
    try:
        with open_parquet(
            path,
            is_read_whole=columns is None,
            page_checksum_verification=True,
            read_dictionary=list(coded),
        ) as file:
            table = file.read(columns=None if columns is None else list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error
    for name in columns or ():  # pyarrow passes over those that are not there
        if name not in table.column_names:
            raise MissingColumnError(path, name)
    return table.unify_dictionaries() if coded else table


def held_parts(lake: Lake, dataset: str) -> list[str]:
    """Return the parts of a dataset that have at least one published file."""
    return sorted({path.parent.name for path in lake.files(dataset)})


def checksum(table: pa.Table) -> str:
    """Return a digest of a table's content: names, types, values and order, not its file's bytes.

    It holds across library versions and compression settings.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in table.column_names:
        _digest_column(digest, name, table[name])
    return digest.hexdigest()


def checksum_of(path: Place) -> str:
    """Return the `checksum` of a file's content, a column at a time, strings a batch at a time.

    Raises
    ------
    CorruptFileError
        If any of it cannot be read.
    """
    try:
        with open_parquet(path, is_read_whole=True, page_checksum_verification=True) as file:
            return _digest_of(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def checksum_in(data: bytes, path: Place) -> str:
    """Return the `checksum` of the content of a file that was read whole from a path.

    Raises
    ------
    CorruptFileError
        If any of it cannot be read.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            return _digest_of(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def check_readable(data: bytes, path: Place) -> None:
    """Refuse a file that was read whole from a path, if any of it cannot be read.

    Raises
    ------
    CorruptFileError
        If so.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            for _ in file.iter_batches(use_threads=False):
                continue
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFileError(path, error) from error


def _digest_of(file: pq.ParquetFile) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for field in file.schema_arrow:
        if pa.types.is_string(field.type):
            _digest_strings_of(digest, file, field)
        else:
            _digest_column(digest, field.name, file.read([field.name])[field.name])
    return digest.hexdigest()


def _digest_column(digest: "hashlib.blake2b", name: str, column: pa.ChunkedArray) -> None:
    digest.update(f"{name}:{column.type}:{column.null_count}:{len(column)};".encode())
    if column.null_count:
        digest.update(column.is_null().to_numpy().tobytes())
    if pa.types.is_string(column.type):
        _digest_strings(digest, column)
    elif not pa.types.is_primitive(column.type):  # nothing of ours: told from it by its type
        digest.update(repr(column.to_pylist()).encode())
    else:
        if column.null_count:
            column = column.fill_null(pa.scalar(0).cast(column.type))
        digest.update(column.to_numpy().view("uint8"))


def _digest_strings(digest: "hashlib.blake2b", column: pa.ChunkedArray) -> None:
    """Hash a string column by its distinct values and their codes: constant columns are cheap."""
    encoded = column.dictionary_encode().chunks  # all with the distinct values of the whole column
    for start in range(0, len(encoded[0].dictionary) if encoded else 0, TEXTS_AT_ONCE):
        texts = pl.Series(encoded[0].dictionary.slice(start, TEXTS_AT_ONCE))
        told = pl.format("{}:{}", texts.str.len_chars(), texts)
        digest.update(pl.select(told.str.join("")).item().encode())
    for chunk in encoded:
        digest.update(chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False).tobytes())


def _digest_strings_of(digest: "hashlib.blake2b", file: pq.ParquetFile, field: pa.Field) -> None:
    """Hash a string column as `_digest_column` does, with a batch of it in memory at a time."""
    nulls = [part.is_null().to_numpy(zero_copy_only=False) for part in _parts(file, field.name)]
    absent, rows = sum(int(part.sum()) for part in nulls), sum(map(len, nulls))
    digest.update(f"{field.name}:{field.type}:{absent}:{rows};".encode())
    if absent:
        digest.update(b"".join(part.tobytes() for part in nulls))
    seen: dict[bytes, int] = {}  # by a digest: the values may be long
    codes = []
    for encoded in (part.dictionary_encode() for part in _parts(file, field.name)):
        known = [-1]
        for text in encoded.dictionary.to_pylist():
            key = hashlib.blake2b(text.encode(), digest_size=16).digest()
            if key not in seen:
                digest.update(f"{len(text)}:{text}".encode())
            known.append(seen.setdefault(key, len(seen)))
        indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        codes.append(np.array(known, np.int32)[indices + 1])
    for part in codes:
        digest.update(part.tobytes())


def _parts(file: pq.ParquetFile, name: str) -> Iterator[pa.StringArray]:
    for batch in file.iter_batches(BATCH_ROWS, columns=[name]):
        yield batch.column(0)
