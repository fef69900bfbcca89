"""What a model says of its dataset beside the columns: its table, its key, and how files are laid.

All stand in the ``Config`` of the model; `contract.key_of` reads the key::

    class Config:
        metadata = declared(key=("timestamp", "underlying"), table=TableFacts(...))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pandera.polars import DataFrameModel


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a table beside its primary key."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """The table a dataset has in the database.

    Attributes
    ----------
    name : str
        The word of the dataset.
    about : str
        What the table holds, in one line.
    schema : str
        `public` for the six that users ask first, `reference` for all others.
    key : tuple of str
        The primary key, in its order.
    chunk : str, optional
        How long a chunk of a hypertable is, as ``90 days``; None for a plain table.
    segment : str, optional
        The column whose values are compressed apart: the one the key begins with, unless another
        is named, where each value of that has few rows; empty where all rows are compressed as one.
    made_from : str, optional
        The table whose rows these are resampled from, by the view of the same name in
        ``sql/views``; None for a table with a dataset of its own.
    columns : tuple of str, optional
        The columns the table has, in its order; None where it has all of the dataset.
    indexes : tuple of Index
        What is indexed beside the key.
    subject : str, optional
        What the loader's lines of the table are of, by month, in SQL of a row called `held`: what
        the key begins with, unless that has too few rows to keep books of.
    """

    name: str
    about: str
    schema: Literal["public", "reference"] = "reference"
    key: tuple[str, ...] = ("instrument", "timestamp")
    chunk: str | None = None
    segment: str | None = None
    made_from: str | None = None
    columns: tuple[str, ...] | None = None
    indexes: tuple[Index, ...] = ()
    subject: str | None = None

    @property
    def segmentby(self) -> str:
        """The column compressed rows are kept apart by, empty for none."""
        return self.key[0] if self.segment is None else self.segment

    @property
    def orderby(self) -> tuple[str, ...]:
        """The columns compressed rows are sorted by, within a segment."""
        return tuple(name for name in self.key if name != self.segmentby)


def declared(
    *,
    table: TableFacts | None = None,
    key: tuple[str, ...] | None = None,
    order: tuple[str, ...] | None = None,
    layout: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what a model's ``Config`` says of its dataset, as `metadata`; None says nothing.

    Rows are sorted by `order`, that of the key where none is said; `layout` is how their files are
    written, where that is not the usual way: the most rows of a `row_group`, the column `by_day` at
    whose midnights it ends, the `level` of zstd, the `encodings` of columns (``DICTIONARY``, or a
    name Parquet has), the columns with `statistics`.
    """
    said = {"table": table, "key": key, "order": order, "layout": layout}
    return {word: each for word, each in said.items() if each is not None}


def facts_of(model: type[DataFrameModel]) -> TableFacts | None:
    """Return the table of a dataset; None where it has none."""
    facts: TableFacts | None = metadata_of(model).get("table")
    return facts


def metadata_of(model: type[DataFrameModel]) -> dict[str, Any]:
    """Return what a model's ``Config``, or the nearest one it inherits, says of the dataset."""
    config = model.__config__  # with what is inherited, which `Config` itself lacks
    return (config.metadata if config else None) or {}
