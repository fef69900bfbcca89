"""The live days of datasets: rows that are not proved yet, for views alone.

A dataset's live day is one file of all its parts, replaced as a whole whenever more is known. No
fold reads it: what is clean is made of raw. It says by which columns a row is told from others, so
that a view can leave out those that are clean by now.
"""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from lake.errors import CorruptFileError
from lake.paths import Lake
from lake.read import footer, read_table
from lake.store.files import matching, remove
from lake.store.place import Place
from lake.store.together import each
from lake.write import disk_errors, publish_table, remove_leftovers

KEY = b"key"


def publish_live(
    lake: Lake, dataset: str, day: date | str, table: pa.Table, key: Sequence[str]
) -> Place | None:
    """Replace the live day of a dataset by some rows, which are sorted by its key.

    Returns
    -------
    Place or None
        Its file; None where there are no rows, and so no file.

    Raises
    ------
    DiskFullError
        If there is no room; the file is what it was.
    NotWritableError
        If the lake's folder cannot be written.
    """
    path = _file(lake, dataset, day)
    if not table.num_rows:
        drop_live(lake, dataset, day)
        return None
    told = table.sort_by([(name, "ascending") for name in key])
    publish_table(told.replace_schema_metadata({KEY: ",".join(key)}), path)
    return path


def read_live(lake: Lake, dataset: str) -> pa.Table | None:
    """Return the rows of all live days of a dataset, None where it has none.

    Raises
    ------
    CorruptFileError
        If a file cannot be read.
    """
    tables = list(each(lake.root, read_table, live_files(lake, dataset)))
    return pa.concat_tables(tables, promote_options="permissive") if tables else None


def drop_live(lake: Lake, dataset: str, day: date | str) -> None:
    """Remove a live day of a dataset, and what a killed process left of it."""
    path = _file(lake, dataset, day)
    with disk_errors(path):
        remove(path)
        remove_leftovers(path)


def live_files(lake: Lake, dataset: str) -> list[Place]:
    """Return the files of a dataset's live days, sorted."""
    return matching(lake.root / "live" / dataset, "*.parquet")


def live_datasets(lake: Lake) -> list[str]:
    """Return the names of the datasets that have a live day, sorted."""
    return sorted(live_of(lake))


def live_of(lake: Lake) -> dict[str, list[Place]]:
    """Return the files of the live days of each dataset that has any, by one look, sorted."""
    held: dict[str, list[Place]] = {}
    for path in matching(lake.root / "live", "*/*.parquet"):
        held.setdefault(path.parent.name, []).append(path)
    return held


def key_of_live(path: Place) -> tuple[str, ...]:
    """Return the columns by which a row of a live file is told from all others.

    Raises
    ------
    CorruptFileError
        If the file has no footer that says so.
    """
    told = footer(path).metadata or {}
    if KEY not in told:
        raise CorruptFileError(path, "it does not say its key")
    return tuple(told[KEY].decode().split(","))


def tidy_live(lake: Lake) -> None:
    """Remove what a killed process left; call it where no other process writes live days."""
    for folder in (lake.root / "live").glob("*/"):
        remove_leftovers(folder)


def _file(lake: Lake, dataset: str, day: date | str) -> Place:
    return lake.root / "live" / dataset / f"{day}.parquet"
