"""Publish files atomically: a reader sees the old file or the new one, whole."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import DiskFullError, LakeError, NotWritableError
from lake.store.files import filled, publish_object
from lake.store.place import ObjectPlace, Place

ROW_GROUP_ROWS = 131_072
ZSTD_LEVEL = 3
DAY_US = 86_400_000_000
DICTIONARY = "DICTIONARY"
NONE: Mapping[str, str] = MappingProxyType({})
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def publish_bytes(data: bytes, path: Place) -> None:
    """Write `data` to `path` atomically and durably."""
    _publish(path, lambda file: file.write(data))


def write_out(data: bytes, path: Path) -> None:
    """Write `data` where a user says: a file atomically, at the end of a link where it is one.

    A device or a pipe is written to: a file renamed over it would take its place.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with disk_errors(path), path.open("wb") as file:
            file.write(data)
    else:
        publish_bytes(data, Path(os.path.realpath(path)))


def publish_stream(write: Callable[[BinaryIO], object], path: Place) -> None:
    """Let `write` fill a file, and publish it at `path` atomically and durably unless it raises."""
    _publish(path, write)


def publish_table(  # noqa: PLR0913  (each says how a file is written)
    table: pa.Table,
    path: Place,
    *,
    level: int = ZSTD_LEVEL,
    row_group: int = ROW_GROUP_ROWS,
    by_day: str | None = None,
    encodings: Mapping[str, str] = NONE,
    statistics: Sequence[str] | None = None,
) -> None:
    """Write `table` to Parquet at `path` atomically and durably.

    The bytes are a function of the table's content alone: fixed row groups, which end with a day
    by the times of the column `by_day`, each of rows in one chunk, and fixed encodings (floats
    byte-stream-split, timestamps delta-packed, strings by dictionary), unless `encodings` has
    others; with least and greatest values of all columns, or of those in `statistics`.
    """
    options = _options(table.schema, level, encodings)
    options["write_statistics"] = True if statistics is None else list(statistics)

    def write(file: BinaryIO) -> None:
        with pq.ParquetWriter(file, table.schema, **options) as writer:
            for start, end in _groups(table, row_group, by_day):
                group = table.slice(start, end - start)
                writer.write_table(group.combine_chunks(), row_group)

    _publish(path, write)


def publish_batches(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Place, level: int
) -> None:
    """Write a stream of batches to Parquet at `path` atomically and durably."""

    def write(file: BinaryIO) -> None:
        with pq.ParquetWriter(file, schema, **_options(schema, level)) as writer:
            for batch in batches:
                if batch.num_rows:
                    writer.write_batch(batch.cast(schema))

    _publish(path, write)


@contextmanager
def disk_errors(path: Place) -> Iterator[None]:
    """Turn an operating system's refusal to write `path` into an error of the lake."""
    try:
        yield
    except OSError as error:
        raise _as_lake_error(path, error) from error


def remove_leftovers(path: Place) -> None:
    """Delete the temporary files a killed process left of `path`, or in it if it is a folder.

    Call it under the lock of what is written there. A put leaves nothing of an object.
    """
    if isinstance(path, ObjectPlace):
        return
    for leftover in path.glob("*.tmp") if path.is_dir() else [_temporary(path)]:
        leftover.unlink(missing_ok=True)


def fsync_folder(folder: Path) -> None:
    """Make what was made, renamed or deleted in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(path: Place, write: Callable[[BinaryIO], object]) -> None:
    if isinstance(path, ObjectPlace):
        publish_object(path, filled(write))
        return
    temporary = _temporary(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)


def _groups(table: pa.Table, most: int, by_day: str | None) -> Iterator[tuple[int, int]]:
    """Yield where row groups start and end: so many rows, or fewer so that no day is cut in two.

    A day of more rows than that is cut.
    """
    days = None if by_day is None else table[by_day].cast(pa.int64()).to_numpy() // DAY_US
    start = 0
    while start < max(table.num_rows, 1):
        end = start + most
        if days is not None and end < len(days):
            midnight = int(np.searchsorted(days, days[end]))
            end = midnight if midnight > start else end
        yield start, end
        start = end


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _as_lake_error(path: Place, error: OSError) -> LakeError:
    if error.errno in NO_SPACE:
        return DiskFullError(path)
    return NotWritableError(path, error)


def _options(schema: pa.Schema, level: int, encodings: Mapping[str, str] = NONE) -> dict[str, Any]:
    chosen = {field.name: encodings.get(field.name) or _encoding(field.type) for field in schema}
    return {
        "compression": "zstd",
        "compression_level": level,
        "use_dictionary": [name for name, encoding in chosen.items() if encoding == DICTIONARY],
        "column_encoding": {
            name: encoding for name, encoding in chosen.items() if encoding != DICTIONARY
        },
        "write_page_checksum": True,  # zstd as Arrow writes it does not notice a flipped bit
    }


def _encoding(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return DICTIONARY
    if pa.types.is_floating(kind):
        return "BYTE_STREAM_SPLIT"
    is_packed = pa.types.is_timestamp(kind) or pa.types.is_integer(kind)
    return "DELTA_BINARY_PACKED" if is_packed else "PLAIN"
