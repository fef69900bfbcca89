"""The lake as a DuckDB file: a view of every dataset, with what its contract says of it."""

import inspect
from pathlib import Path

import polars as pl

from etl.catalog import DATASETS
from etl.dataset import Dataset
from lake.arrow import arrow
from lake.database_file import Written, write_database
from lake.live import live_datasets
from lake.paths import Lake
from lake.stored_views import Described, meaning
from validators.contract import key_of
from validators.table import facts_of


def write_database_of(lake: Lake, path: Path) -> Written:
    """Write a DuckDB file with the views and macros that `query` has.

    All datasets have a view, also those of which nothing is held yet; of candles' and others'
    further resolutions those have one that are held.

    Raises
    ------
    DatabaseFileError
        If it cannot be written, or what is at `path` must not be replaced.
    """
    held = {*lake.datasets(), *live_datasets(lake)}
    shown = (one for one in DATASETS.values() if one.name in held or _is_first(one))
    return write_database(lake, path, map(described, shown))


def described(dataset: Dataset) -> Described:
    """Return a dataset as its contract has it."""
    columns = dataset.model.to_schema().columns
    rows = pl.DataFrame(schema={name: one.dtype.type for name, one in columns.items()})
    return Described(
        name=dataset.name,
        top=dataset.top,
        key=key_of(dataset.model),
        rows=arrow(rows),
        about=inspect.cleandoc(dataset.model.__doc__ or ""),
        meanings={
            name: meaning(one.description or "", (one.metadata or {}).get("unit"))
            for name, one in columns.items()
        },
    )


def _is_first(dataset: Dataset) -> bool:
    """Whether a dataset is the one its other resolutions are beside."""
    return getattr(dataset, "resolution", "") in {"", "1"} or facts_of(dataset.model) is not None
