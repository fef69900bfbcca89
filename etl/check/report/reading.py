"""Read the newest rows of a dataset, and no more than a page needs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import polars as pl

from etl.catalog import find
from lake.errors import CorruptFileError, MissingColumnError
from lake.paths import Lake
from lake.read import footer, scan_files
from lake.store.place import Place


def newest_rows(
    lake: Lake, dataset: str, columns: Sequence[str], *, within: timedelta = timedelta(0)
) -> pl.DataFrame:
    """Return the last rows of each part, from some time before its last on.

    Parameters
    ----------
    lake
        The lake.
    dataset
        A dataset whose rows have a `timestamp`.
    columns
        The columns wanted besides it.
    within
        How long before the last row of a part rows are wanted, too.

    Returns
    -------
    DataFrame
        `timestamp`, the columns, and `part`; no columns where nothing is held.

    Raises
    ------
    CorruptFileError
        If a file cannot be read, or a column is of another type than its contract says.
    MissingColumnError
        If a file has not all the columns.
    """
    names = ("timestamp", *columns)
    contract = find(dataset).model.to_schema().columns
    types = {name: contract[name].dtype.type for name in names}
    by_part = groupby(lake.files(dataset), key=lambda path: path.parent.name)  # sorted by period
    newest = (_newest(list(paths)) for _, paths in by_part)
    frames = [_last_rows(path, types, within) for path in newest if path is not None]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def newest_ms(path: Place) -> int:
    """Return the moment of the last row of a file [ms]; 0 where it has none.

    Raises
    ------
    CorruptFileError, MissingColumnError
        If it cannot be read, or has no `timestamp`.
    """
    _check_columns(path, {"timestamp": None})
    rows = scan_files([path]).select(pl.col("timestamp").max().dt.epoch("ms"))
    return int(_collected(rows, path).item() or 0)


def moment(ms: int) -> datetime:
    """Return Unix milliseconds as a moment."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def _newest(paths: Sequence[Place]) -> Place | None:
    """Return the last file of some that has rows; those before it are not asked."""
    return next((path for path in reversed(paths) if footer(path).num_rows), None)


def _last_rows(path: Place, types: Mapping[str, Any], within: timedelta) -> pl.DataFrame:
    _check_columns(path, types)
    last = moment(newest_ms(path))
    since = pl.col("timestamp") >= pl.lit(last - within)
    rows = scan_files([path]).select(types.keys()).filter(since)
    return _collected(rows, path).with_columns(part=pl.lit(path.parent.name))


def _check_columns(path: Place, types: Mapping[str, Any]) -> None:
    """Refuse a file that lacks a column, or has it of another type, where one is given."""
    footer(path)
    held = scan_files([path]).collect_schema()
    for name, kind in types.items():
        if name not in held:
            raise MissingColumnError(path, name)
        if kind is not None and held[name] != kind:
            raise CorruptFileError(path, f"column {name} is {held[name]}, expected {kind}")


def _collected(rows: pl.LazyFrame, path: Place) -> pl.DataFrame:
    try:
        return rows.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorruptFileError(path, error) from error
