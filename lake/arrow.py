"""Frames as Arrow tables of the types every Parquet reader knows."""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray


def arrow(frame: pl.DataFrame) -> pa.Table:
    """Return a frame as an Arrow table of the types every Parquet reader knows."""
    frame = frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    fields = [
        field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a column of floats as an array, NaN where it is null."""
    found: NDArray[np.float64] = (
        column.fill_null(np.nan) if column.null_count else column
    ).to_numpy()
    return found
