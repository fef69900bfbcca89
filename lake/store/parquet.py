"""Open Parquet wherever it lies: an object is read by ranges, a small one whole."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.store.place import Place
from lake.store.reader import WHOLE_BYTES, ObjectReader, end_of

ParquetFile = pq.ParquetFile
AT_ONCE_BYTES = 32_000_000  # held in memory of one that is read whole


def open_parquet(
    place: Place, *, is_read_whole: bool = False, twice: bool = False, **options: Any
) -> pq.ParquetFile:
    """Return a Parquet file that is open, to be closed by `with`; options are pyarrow's.

    An object that `is_read_whole` comes by one request, unless it is so large that it comes by its
    columns. What is read `twice`, by whoever says so both times, is asked for once where it is
    small.

    Raises
    ------
    OSError
        If there is no file, or it cannot be read.
    pyarrow.ArrowInvalid
        If it is not Parquet.
    """
    if isinstance(place, Path):
        return pq.ParquetFile(place, **options)
    whole = AT_ONCE_BYTES if is_read_whole else WHOLE_BYTES
    reader = ObjectReader(place, whole_bytes=whole, twice=twice)
    joined = {"pre_buffer": True} | options  # neighbouring columns by one request
    return pq.ParquetFile(pa.PythonFile(reader, mode="r"), **joined)


def read_footer(place: Place, *, is_listed: bool = False) -> pq.FileMetaData:
    """Return the footer of a Parquet file.

    That of an object that `is_listed`, a moment ago, may be one that was read before: the listing
    told its tag.

    Raises
    ------
    OSError
        If there is no file, or it cannot be read.
    pyarrow.ArrowInvalid
        If it is not Parquet.
    """
    if isinstance(place, Path):
        return pq.read_metadata(place)
    seen = place.store.last_seen(place.key) if is_listed else None
    return pq.read_metadata(pa.BufferReader(end_of(place, seen)[1]))
