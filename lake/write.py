"""Publish files atomically: a reader sees the old file or the new one, whole."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import DiskFullError, LakeError, NotWritableError

ROW_GROUP_ROWS = 131_072
ZSTD_LEVEL = 3
DICTIONARY = "DICTIONARY"
NONE: Mapping[str, str] = MappingProxyType({})
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def publish_bytes(data: bytes, path: Path) -> None:
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


def publish_stream(write: Callable[[BinaryIO], object], path: Path) -> None:
    """Let `write` fill a file, and publish it at `path` atomically and durably unless it raises."""
    _publish(path, write)


def publish_table(
    table: pa.Table,
    path: Path,
    *,
    level: int = ZSTD_LEVEL,
    row_group: int = ROW_GROUP_ROWS,
    encodings: Mapping[str, str] = NONE,
    statistics: Sequence[str] | None = None,
) -> None:
    """Write `table` to Parquet at `path` atomically and durably.

    The bytes are a function of the table's content alone: fixed row groups, each of rows in one
    chunk, and fixed encodings (floats byte-stream-split, timestamps delta-packed, strings by
    dictionary), unless `encodings` has others; with least and greatest values of all columns, or
    of those in `statistics`.
    """
    options = _options(table.schema, level, encodings)
    options["write_statistics"] = True if statistics is None else list(statistics)

    def write(file: BinaryIO) -> None:
        with pq.ParquetWriter(file, table.schema, **options) as writer:
            for start in range(0, max(table.num_rows, 1), row_group):
                group = table.slice(start, row_group)
                writer.write_table(group.combine_chunks(), row_group)

    _publish(path, write)


def publish_batches(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path, level: int
) -> None:
    """Write a stream of batches to Parquet at `path` atomically and durably."""

    def write(file: BinaryIO) -> None:
        with pq.ParquetWriter(file, schema, **_options(schema, level)) as writer:
            for batch in batches:
                if batch.num_rows:
                    writer.write_batch(batch.cast(schema))

    _publish(path, write)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write `path` into an error of the lake."""
    try:
        yield
    except OSError as error:
        raise _as_lake_error(path, error) from error


def remove_leftovers(path: Path) -> None:
    """Delete the temporary files a killed process left of `path`, or in it if it is a folder.

    Call it under the lock of what is written there.
    """
    for leftover in path.glob("*.tmp") if path.is_dir() else [_temporary(path)]:
        leftover.unlink(missing_ok=True)


def fsync_folder(folder: Path) -> None:
    """Make what was made, renamed or deleted in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(path: Path) -> int:
    """Return the free space of the disk that holds `path`, which need not exist yet."""
    while not path.exists():
        path = path.absolute().parent
    return shutil.disk_usage(path).free


def _publish(path: Path, write: Callable[[BinaryIO], object]) -> None:
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


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _as_lake_error(path: Path, error: OSError) -> LakeError:
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
